"""What is known of a frame as a picture: boxes, names, distance, speed, and the depth beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_vision.depth.colours import colourise, depth_range
from vla_vision.perception.percept import Percept
from vla_vision.tracking.drawing import TrackPainter, track_colour, track_label
from vla_vision.types import DepthMap, Frame, Tracks

READABLE = 360  # pixels of height; smaller frames are enlarged, or what is known would cover them
STILL = 0.02  # m/s; slower things have no arrow
AHEAD = 0.5  # seconds of motion that an arrow shows
LEGEND = 18


class PerceptPainter:
    """Draws frame after frame. Colours of depth keep the range of the first frame that has any."""

    def __init__(self) -> None:
        self._tracks = TrackPainter()
        self._span: tuple[float, float] | None = None
        self._with_depth: bool | None = None
        self._time: float | None = None

    def draw(self, percept: Percept) -> Frame:
        """The picture, of a frame whose image is there.

        Where the first frame has depth, so has every picture, to the right; small frames are then enlarged.
        """
        import cv2

        assert percept.image is not None
        if self._with_depth is None:
            self._with_depth = percept.depth is not None
        times = max(1, -(-READABLE // percept.image.shape[0])) if self._with_depth else 1
        image = cv2.resize(percept.image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
        tracks = replace(percept.tracks, boxes=percept.tracks.boxes * times)
        picture = self._tracks.draw(np.asarray(image, np.uint8), tracks, labels_of(percept))
        frames_ahead = AHEAD / (percept.time - self._time) if self._time is not None else 0.0
        _arrows(picture, percept, tracks, times * frames_ahead)
        self._time = percept.time
        if percept.depth is not None and self._span is None:
            self._span = depth_range(percept.depth)
        if not self._with_depth:
            return picture
        return np.concatenate([picture, self._depth(percept, picture.shape)], axis=1)

    def _depth(self, percept: Percept, shape: tuple[int, ...]) -> Frame:
        import cv2

        depth = percept.depth or DepthMap(np.zeros(shape[:2], np.float32), "metric")
        colours = cv2.resize(colourise(depth, self._span), (shape[1], shape[0]))
        near, far = self._span or (0.0, 0.0)
        unit = " m" if depth.kind == "metric" else ""
        age = f", {percept.depth_age} frames old" if percept.depth_age else ""
        text = f"depth: bright {near:.2f}{unit}, dark {far:.2f}{unit}{age}"
        cv2.rectangle(colours, (0, 0), (shape[1], LEGEND), (0, 0, 0), -1)
        cv2.putText(colours, text, (4, LEGEND - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255,) * 3, 1, cv2.LINE_AA)
        return np.asarray(colours, np.uint8)


def labels_of(percept: Percept) -> list[str]:
    """Such as "7 mug 0.62 m 0.12 m/s": number, class, distance, speed, as far as they are known."""
    labels = [track_label(percept.tracks, i) for i in range(len(percept.tracks))]
    if percept.depths is not None and percept.depth is not None:
        unit = " m" if percept.depth.kind == "metric" else ""
        for i, value in enumerate(percept.depths.tolist()):
            labels[i] += f" {value:.2f}{unit}" if np.isfinite(value) else ""
    if percept.velocities is not None:
        speeds = np.linalg.norm(percept.velocities.velocities, axis=1)
        known = dict(zip(percept.velocities.ids.tolist(), speeds.tolist(), strict=True))
        for i, ident in enumerate(percept.tracks.ids.tolist()):
            labels[i] += f" {known[ident]:.2f} m/s" if ident in known else ""
    return labels


def _arrows(picture: np.ndarray, percept: Percept, tracks: Tracks, reach: float) -> None:
    """From each moving thing to where its box would be `reach` frames on."""
    import cv2

    moving = percept.velocities
    if moving is None:
        return
    speeds = dict(zip(moving.ids.tolist(), np.linalg.norm(moving.velocities, axis=1).tolist(), strict=True))
    for i, ident in enumerate(tracks.ids.tolist()):
        if speeds.get(ident, 0) < STILL:
            continue
        centre = (tracks.boxes[i, :2] + tracks.boxes[i, 2:]) / 2
        ahead = centre + tracks.velocities[i] * reach
        start, end = (np.nan_to_num(p).clip(-9999, 9999).astype(int).tolist() for p in (centre, ahead))
        cv2.arrowedLine(picture, start, end, (255, 255, 255), 3, cv2.LINE_AA, tipLength=0.25)
        cv2.arrowedLine(picture, start, end, track_colour(ident), 1, cv2.LINE_AA, tipLength=0.25)
