"""Made-up video of people-like figures that cross behind each other and behind posts, with exact truth.

Figures walk with slowly changing velocity; nearer ones (lower in the picture) hide those behind. Detections
are the boxes with jitter; a figure that is mostly hidden is missed, a partly hidden one has a lower score,
and there are false ones. Every figure has clothes of its own: two colours and a pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vla_vision.types import Detections

WIDTH, HEIGHT = 640, 480
POSTS = ((150, 70), (420, 70))  # x and width of what hides all that passes behind it
MISSED_BELOW, JITTER, FALSE_RATE = 0.35, 0.04, 0.1


@dataclass(frozen=True)
class Crossing:
    """One sequence: images uint8 [480, 640, 3], detections and ground truth (ids, boxes) a frame."""

    images: list[np.ndarray]
    detections: list[Detections]
    truth: list[tuple[np.ndarray, np.ndarray]]


def make_crossing(seed: int, frames: int = 150, figures: int = 10, pan: float = 0.0) -> Crossing:
    """A sequence; `pan` > 0 lets the camera sway by so many pixels a frame."""
    rng = np.random.default_rng(seed)
    textures = [_texture(rng) for _ in range(figures)]
    margin = int(abs(pan) * 40) + 8
    ground = _background(rng, margin)
    paths = _paths(rng, frames, figures)
    crossing = Crossing([], [], [])
    for t in range(frames):
        sway = np.round(margin * 0.9 * np.sin(pan * t / max(margin, 1))) if pan else 0.0
        boxes = paths[t] - np.array([sway, 0, sway, 0])
        image, visible = _render(ground, margin + int(sway), textures, boxes, int(sway))
        crossing.images.append(np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8))
        crossing.detections.append(_detect(rng, boxes, visible))
        shown = np.flatnonzero(visible > 0)
        crossing.truth.append((shown + 1, boxes[shown]))
    return crossing


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Clothes, uint8 [120, 44, 3]: head, upper and lower part, stripes or spots on the upper one."""
    picture = np.empty((120, 44, 3), np.float64)
    skin, upper, lower = (rng.uniform(30, 180) + rng.normal(0, 25, 3) for _ in range(3))
    picture[:22], picture[22:66], picture[66:] = skin, upper, lower
    period = int(rng.integers(4, 14))
    stripes = (np.indices((44, 44))[rng.integers(2)] // period) % 2 == 0
    picture[22:66][stripes] = upper + rng.normal(0, 40, 3)
    return picture.clip(0, 255).astype(np.uint8)


def _background(rng: np.random.Generator, margin: int) -> np.ndarray:
    small = rng.normal(0, 1, (HEIGHT // 16, (WIDTH + 2 * margin) // 16, 1)) + rng.normal(0, 0.3, (1, 1, 3))
    smooth = cv2.resize(small, (WIDTH + 2 * margin, HEIGHT), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0, 8, (HEIGHT, WIDTH + 2 * margin, 1))
    return (110 + 25 * smooth + fine).clip(0, 255).astype(np.uint8)


def _paths(rng: np.random.Generator, frames: int, figures: int) -> np.ndarray:
    """Boxes float64 [frames, figures, 4] of figures that walk mostly sideways and turn at the border."""
    foot = np.stack([rng.uniform(40, WIDTH - 40, figures), rng.uniform(200, HEIGHT - 20, figures)], axis=1)
    velocity = np.stack([rng.choice([-1, 1], figures) * rng.uniform(1.0, 4.0, figures), np.zeros(figures)], 1)
    boxes = np.empty((frames, figures, 4))
    for t in range(frames):
        velocity += rng.normal(0, [0.3, 0.08], (figures, 2))
        velocity[:, 1] *= 0.97
        foot += velocity
        for axis, (low, high) in enumerate(((30, WIDTH - 30), (170, HEIGHT - 10))):
            out = (foot[:, axis] < low) | (foot[:, axis] > high)
            velocity[out, axis] *= -1
            foot[:, axis] = foot[:, axis].clip(low, high)
        high = 40 + 0.22 * foot[:, 1]
        wide = high * 0.37
        boxes[t] = np.stack([foot[:, 0] - wide / 2, foot[:, 1] - high, foot[:, 0] + wide / 2, foot[:, 1]], 1)
    return boxes


def _render(
    ground: np.ndarray, left: int, textures: list[np.ndarray], boxes: np.ndarray, sway: int
) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and the share of each figure that can be seen in it."""
    image = ground[:, left : left + WIDTH].copy()
    owner = np.full((HEIGHT, WIDTH), -1)
    whole = np.zeros(len(boxes))
    for i in np.argsort(boxes[:, 3]):
        x1, y1, x2, y2 = boxes[i].round().astype(int)
        whole[i] = max((x2 - x1) * (y2 - y1), 1)
        left_cut, right = max(x1, 0), min(x2, WIDTH)
        if right <= left_cut:
            continue
        figure = cv2.resize(textures[i], (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
        image[y1:y2, left_cut:right] = figure[:, left_cut - x1 : right - x1]
        owner[y1:y2, left_cut:right] = i
    for x, wide in POSTS:
        low, high = max(x - sway, 0), max(min(x + wide - sway, WIDTH), 0)
        image[:, low:high] = 70
        owner[:, low:high] = -1
    seen = np.bincount(owner[owner >= 0], minlength=len(boxes))
    return image, seen / whole


def _detect(rng: np.random.Generator, boxes: np.ndarray, visible: np.ndarray) -> Detections:
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(2, axis=1)[:, [0, 2, 1, 3]]
    noisy = boxes + rng.normal(0, JITTER, boxes.shape) * sides * (1.5 - 0.5 * visible[:, None])
    missed = visible + rng.normal(0, 0.08, len(boxes)) < MISSED_BELOW
    found = noisy[~missed]
    scores = np.clip(0.35 + 0.65 * visible[~missed] + rng.normal(0, 0.05, len(found)), 0.1, 0.99)
    wrong = rng.uniform(size=rng.poisson(FALSE_RATE)) * 0.4 + 0.4
    corner = rng.uniform(0, [WIDTH - 50, HEIGHT - 110], (len(wrong), 2))
    found = np.concatenate([found, np.hstack([corner, corner + np.array([40, 100])])])
    scores = np.concatenate([scores, wrong])
    return Detections(found.astype(np.float32), scores.astype(np.float32), np.zeros(len(found), np.int64))
