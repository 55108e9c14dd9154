"""Depth and velocity beside the colours of a policy's pictures: at training from episodes, at work from what
is observed, by the same functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, UInt8
from torch import Tensor

from vla_data.errors import DataError
from vla_data.types import ObservationWindow
from vla_model.policies.shapes import Batch
from vla_model.prompt.episodes import PromptParts
from vla_vision.encoder.channels import dense_depth, dense_flow
from vla_vision.encoder.inputs import PLANES, depth_planes, flow_planes
from vla_vision.types import DepthMap
from vla_vision.velocity.flow import FlowConfig, optical_flow

FARTHEST = 20.0  # metres; what is farther counts as unknown
FLOW = FlowConfig("medium")  # small pictures: the finest costs a third of a millisecond


def plane_count(parts: PromptParts) -> int:
    """Numbers at a pixel beside its colour."""
    return PLANES["depth"] * parts.depth + PLANES["flow"] * parts.velocity


def planes_of(batch: Batch, camera: int, parts: PromptParts) -> Float[Tensor, "b p h w"] | None:
    """What stands beside the colours of one camera's latest picture; None for nothing."""
    given = []
    if parts.depth:
        given.append(depth_planes(batch["depth"][:, camera]))
    if parts.velocity:
        given.append(flow_planes(batch["flow"][:, camera], batch["flow_known"]))
    return torch.cat(given, dim=1) if given else None


def depth_of(metres: np.ndarray, height: int, width: int) -> Float16[np.ndarray, "height width"]:
    """A depth image as policies take it: 0 where it is not finite, not positive or too far."""
    return dense_depth(DepthMap(np.asarray(metres, np.float32), "metric"), height, width, FARTHEST)


def flow_of(
    images: UInt8[np.ndarray, "b history cameras 3 h w"], known: Bool[np.ndarray, "b"], hz: float
) -> Float16[np.ndarray, "b cameras h w 2"]:
    """What moved between the last two moments, image widths and heights a second; 0 where not known.

    Args:
        known: whether there was a moment before.
        hz: moments a second.
    """
    size, _, cameras, _, height, width = images.shape
    flow = np.zeros((size, cameras, height, width, 2), np.float16)
    last = np.ascontiguousarray(images[:, -2:].transpose(0, 1, 2, 4, 5, 3))
    for row in np.flatnonzero(known):
        for camera in range(cameras):
            moved = optical_flow(last[row, 0, camera], last[row, 1, camera], FLOW)
            flow[row, camera] = dense_flow(moved, 1 / hz, height, width)
    return flow


def observed_depth(windows: Sequence[ObservationWindow], camera: str, size: tuple[int, int]) -> np.ndarray:
    """Depth of the latest observation of each window, float16 [B, height, width].

    Raises:
        DataError: one has none.
    """
    for w in windows:
        if camera not in w.latest.depth:
            raise DataError(
                "the policy looks at depth, and none was seen",
                where=f"camera {camera}",
                expected="an observation with its depth",
                got=", ".join(w.latest.depth) or "no depth",
                next_step="give depth, or train a policy without it: --set policy.parts.depth=false",
            )
    return np.stack([depth_of(w.latest.depth[camera], *size) for w in windows])


def moved_on(windows: Sequence[ObservationWindow]) -> Bool[np.ndarray, "b"]:
    """Whether the moment before the latest is another one: at an episode's beginning it is the same."""
    return np.array([w.observations[-2].time < w.observations[-1].time for w in windows])
