"""Detections drawn on frames: masks, boxes, names and confidence, in a colour of the class."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from vla_vision.tracking.drawing import track_colour
from vla_vision.types import Detections, Frame

Drawing = UInt8[np.ndarray, "rows columns 3"]

TINT = 0.45  # share of the class's colour in a masked pixel


def draw_detections(image: Frame, detections: Detections, least_side: int = 0) -> Drawing:
    """A copy of the frame with the detections on it, the most confident on top.

    Args:
        least_side: small frames are first enlarged so that their longer side has so many pixels; names stay
            legible.
    """
    import cv2

    gain = max(1, -(-least_side // max(image.shape[:2])))
    picture = np.ascontiguousarray(image.repeat(gain, axis=0).repeat(gain, axis=1)).copy()
    for i in np.argsort(detections.scores, kind="stable").tolist():
        number = int(detections.classes[i])
        colour = track_colour(number + 1)
        if detections.masks is not None:
            mask = detections.masks[i].repeat(gain, axis=0).repeat(gain, axis=1)
            picture[mask] = ((1 - TINT) * picture[mask] + TINT * np.array(colour)).astype(np.uint8)
        box = (detections.boxes[i] * gain).round().astype(int).tolist()
        cv2.rectangle(picture, box[:2], box[2:], colour, 1 if max(picture.shape) < 600 else 2)
        known = number < len(detections.class_names)
        name = detections.class_names[number] if known else f"class {number}"
        _write(picture, box, f"{name} {detections.scores[i]:.2f}", colour)
    return picture


def _write(picture: np.ndarray, box: list[int], text: str, colour: tuple[int, int, int]) -> None:
    """A line on a plate of the colour, above the box or, where there is no room, inside its upper edge."""
    import cv2

    font, scale = cv2.FONT_HERSHEY_SIMPLEX, float(np.clip(picture.shape[0] / 1000, 0.35, 0.8))
    (wide, high), _ = cv2.getTextSize(text, font, scale, 1)
    left = int(np.clip(box[0], 0, max(picture.shape[1] - wide - 4, 0)))
    bottom = box[1] if box[1] > high + 6 else min(box[1] + high + 6, picture.shape[0] - 1)
    cv2.rectangle(picture, (left, bottom - high - 5), (left + wide + 4, bottom), colour, -1)
    cv2.putText(picture, text, (left + 2, bottom - 3), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
