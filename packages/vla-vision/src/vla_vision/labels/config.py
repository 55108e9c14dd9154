"""What a data set of labels holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vla_data.errors import ConfigError


@dataclass(frozen=True)
class LabelConfig:
    """Which frames and objects are written, and how.

    Args:
        format: "yolo" (images and labels, split into train and val) or "mot" (a sequence for each episode
            and camera).
        cameras: which; none stands for all that have labels.
        classes: which, in the order of their numbers; none stands for all there are, sorted.
        every: one frame in so many, from the first.
        min_pixels: objects with fewer visible pixels are left out and counted.
        val_every: one episode in so many goes to val (yolo), so that no placement is in both.
        outlines: write the outlines of masks instead of boxes (yolo).
        image_encoding, quality: of the images written.
        min_track: pseudo-labels: detections a track needs for any of them to be believed.
        max_gap: pseudo-labels: frames without a detection that are filled in between two of one track.
        score: pseudo-labels: least score of a detection that may begin a track.

    Raises:
        ConfigError: a number is out of range.
    """

    format: Literal["yolo", "mot"] = "yolo"
    cameras: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    every: int = 1
    min_pixels: int = 16
    val_every: int = 5
    outlines: bool = False
    image_encoding: Literal["jpeg", "png"] = "jpeg"
    quality: int = 95
    min_track: int = 5
    max_gap: int = 4
    score: float = 0.4

    def __post_init__(self) -> None:
        least = {"every": 1, "min_pixels": 1, "val_every": 2, "quality": 1, "min_track": 1, "max_gap": 0}
        wrong = [f"{n} {getattr(self, n)}" for n, low in least.items() if getattr(self, n) < low]
        wrong += [f"quality {self.quality}"] if self.quality > 100 else []
        wrong += [] if 0 <= self.score <= 1 else [f"score {self.score}"]
        if len(set(self.classes)) < len(self.classes):
            wrong.append(f"classes {', '.join(self.classes)}")
        if wrong:
            raise ConfigError(
                "labels cannot be written like this",
                where="LabelConfig",
                expected="every, min_pixels and min_track of at least 1, val_every of at least 2, quality in "
                "1…100, max_gap of at least 0, score in [0, 1], each class once",
                got="; ".join(wrong),
            )


PRESETS: dict[str, Callable[[], LabelConfig]] = {
    "default": LabelConfig,
    "sparse": lambda: LabelConfig(every=8),
    "debug": lambda: LabelConfig(every=16, image_encoding="png"),
}
