"""All that is known of one frame: the value that flows from the loop to drawings, scores and tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from vla_vision.types import DepthMap, Detections, Frame, Tracks
from vla_vision.velocity.filter import Velocities


@dataclass(frozen=True, eq=False)
class Percept:
    """One frame, seen.

    Args:
        index: of the frame in its source, from 1.
        time: seconds.
        image: the frame, RGB uint8 [height, width, 3]; None where only detections are known.
        detections: of this frame.
        tracks: objects with an identity, as they stand in this frame.
        depth: the latest there is, at the frame's size; None before the first, or without a depth model.
        depth_age: frames since `depth` was seen; 0: it is this frame's.
        depths: of each track, a quantile of `depth` in the inner part of its box (`VelocityConfig`), in its
            unit; NaN where too little is known. None without depth.
        flow: pixels that each pixel of the frame before moved by, [height, width, 2]; None for the first
            frame or where it is not computed.
        velocities: the tracks in space; None without metric depth or intrinsics.
        pose: 4×4 camera → world now; None where nobody knows.
    """

    index: int
    time: float
    image: Frame | None
    detections: Detections
    tracks: Tracks
    depth: DepthMap | None = None
    depth_age: int = 0
    depths: Float64[np.ndarray, "n"] | None = None
    flow: Float32[np.ndarray, "height width 2"] | None = None
    velocities: Velocities | None = None
    pose: np.ndarray | None = None
