"""Made-up labelled images: boxes and discs in three colours on a noisy ground, in the YOLO layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

COLOURS = ((220, 40, 40), (40, 200, 60), (50, 80, 230))
NAMES = ("red box", "green disc", "blue box")


def picture(rng: np.random.Generator, size: tuple[int, int] = (72, 96)) -> tuple[np.ndarray, list[tuple]]:
    """uint8 [height, width, 3], and (class, x, y, width, height) of each thing on it, in pixels."""
    height, width = size
    ground = rng.integers(60, 120) + rng.integers(0, 20, (height, width, 3))
    image, things = ground.astype(np.uint8), []
    for _ in range(rng.integers(1, 4)):
        kind, (w, h) = int(rng.integers(3)), rng.integers(10, 24, 2).tolist()
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        if kind == 1:
            centre, half = (x + w // 2, y + h // 2), (w // 2, h // 2)
            cv2.ellipse(image, centre, half, 0, 0, 360, COLOURS[kind], -1)
        else:
            image[y : y + h, x : x + w] = COLOURS[kind]
        things.append((kind, x, y, w, h))
    return image, things


def write_yolo(root: Path, train: int = 12, val: int = 4, outlines: bool = False) -> Path:
    """A data set in the YOLO layout; with outlines, every thing has five corners."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image, things = picture(rng)
            cv2.imwrite(str(root / "images" / split / f"{i}.png"), image[..., ::-1])
            lines = [_line(thing, image.shape[:2], outlines) for thing in things]
            (root / "labels" / split / f"{i}.txt").write_text("".join(lines))
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")
    return root


def _line(thing: tuple, size: tuple[int, ...], outline: bool) -> str:
    kind, x, y, w, h = thing
    high, wide = size
    if outline:
        corners = [(x, y), (x + w / 2, y), (x + w, y), (x + w, y + h), (x, y + h)]
        return f"{kind} " + " ".join(f"{a / wide:.5f} {b / high:.5f}" for a, b in corners) + "\n"
    return f"{kind} {(x + w / 2) / wide:.5f} {(y + h / 2) / high:.5f} {w / wide:.5f} {h / high:.5f}\n"
