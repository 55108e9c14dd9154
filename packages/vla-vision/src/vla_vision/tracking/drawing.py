"""Tracks drawn on frames: a box and a name in a colour of the identity, and where it came from."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from vla_vision.types import Frame, Tracks

TRAIL = 30  # frames
GOLDEN = 0.618034


class TrackPainter:
    """Draws frame after frame; remembers where each track's foot was, for its trail."""

    def __init__(self, trail: int = TRAIL) -> None:
        self._trail = trail
        self._feet: dict[int, deque[tuple[int, int]]] = {}

    def draw(self, image: Frame, tracks: Tracks, labels: Sequence[str] | None = None) -> Frame:
        """A copy of the frame with the tracks on it. What is only predicted has a thin box.

        Args:
            labels: what is written at each track; None: its number and class.
        """
        import cv2

        picture = np.ascontiguousarray(image).copy()
        self._remember(tracks)
        for i, box in enumerate(tracks.boxes.round().astype(int).tolist()):
            ident, seen = int(tracks.ids[i]), tracks.detections[i] >= 0
            colour = track_colour(ident)
            points = np.array(self._feet[ident], np.int32).reshape(-1, 1, 2)
            cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
            cv2.rectangle(picture, box[:2], box[2:], colour, 2 if seen else 1)
            _label(picture, box, track_label(tracks, i) if labels is None else labels[i], colour)
        return picture

    def _remember(self, tracks: Tracks) -> None:
        for ident, (x1, _, x2, y2) in zip(tracks.ids.tolist(), tracks.boxes.tolist(), strict=True):
            feet = self._feet.setdefault(ident, deque(maxlen=self._trail))
            feet.append((round((x1 + x2) / 2), round(y2)))
        for ident in set(self._feet) - set(tracks.ids.tolist()):
            self._feet[ident].popleft()
            if not self._feet[ident]:
                del self._feet[ident]


def track_label(tracks: Tracks, i: int) -> str:
    """Such as "7 mug"."""
    named = tracks.class_names and 0 <= tracks.classes[i] < len(tracks.class_names)
    return f"{tracks.ids[i]} {tracks.class_names[tracks.classes[i]]}" if named else f"{tracks.ids[i]}"


def track_colour(ident: int) -> tuple[int, int, int]:
    """RGB of an identity: hues that follow each other lie far apart."""
    import cv2

    hue = int(ident * GOLDEN % 1.0 * 180)
    pixel = np.array([[[hue, 170, 245]]], np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _label(picture: np.ndarray, box: list[int], text: str, colour: tuple[int, int, int]) -> None:
    import cv2

    scale = float(np.clip(picture.shape[0] / 1000, 0.35, 0.8))
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int(np.clip(box[0], 0, max(picture.shape[1] - wide - 4, 0)))
    bottom = box[1] if box[1] > high + 6 else min(box[1] + high + 6, picture.shape[0] - 1)
    cv2.rectangle(picture, (left, bottom - high - 6), (left + wide + 4, bottom), colour, -1)
    where = (left + 2, bottom - 4)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
