"""A look through each camera of a data set: a few frames of a few episodes, and what is odd about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vla_data.errors import DataError
from vla_data.explore.colours import chroma_histogram, exchanged
from vla_data.files import write_bytes
from vla_data.formats.describe import DescribedReader
from vla_data.images import encode
from vla_data.report import Gallery, Media
from vla_data.types import Episode, Image
from vla_data.usable import ANY, Skipped, require_usable

LOOKED_AT = 12  # episodes, spread over the split


@dataclass(frozen=True)
class View:
    """What was seen through one camera.

    Args:
        width, height: of the example.
        mean, std: of its values, 0 … 255.
        episode, step: where the example is from.
        frames: looked at.
    """

    camera: str
    width: int
    height: int
    mean: float
    std: float
    episode: int
    step: int
    frames: int


@dataclass
class Looks:
    """Frames of some episodes, counted; one of each camera is kept."""

    examples: dict[str, Image] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    dark: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, Counter[tuple[int, int]]] = field(default_factory=dict)
    colours: dict[str, list[np.ndarray]] = field(default_factory=dict)
    broken: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (camera, what) → where
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, index: int, episode: Episode) -> None:
        for name, frames in episode.images.items():
            for step in sorted({0, len(frames) // 2, len(frames) - 1} if len(frames) else ()):
                try:
                    self._frame(name, index, step, frames[step])
                except DataError as error:
                    self.seen[name] += 1
                    self.broken.setdefault((name, error.message), []).append(error.where or "")

    def _frame(self, name: str, index: int, step: int, image: Image) -> None:
        self.seen[name] += 1
        self.sizes.setdefault(name, Counter())[image.shape[:2]] += 1
        if not image.any():
            self.dark[name] += 1
        else:
            self.colours.setdefault(name, []).append(chroma_histogram([image]))
        if name not in self.examples or (not self.examples[name].any() and image.any()):
            self.examples[name], self.places[name] = image, (index, step)

    @property
    def views(self) -> tuple[View, ...]:
        """One a camera, in order of names."""
        return tuple(self._view(name) for name in sorted(self.examples))

    def _view(self, name: str) -> View:
        image, (episode, step) = self.examples[name], self.places[name]
        height, width = image.shape[:2]
        mean, std = round(float(image.mean()), 1), round(float(image.std()), 1)
        return View(name, width, height, mean, std, episode, step, self.seen[name])

    def warnings(self) -> Iterator[str]:
        """Everything odd, most serious first."""
        for (name, what), where in self.broken.items():
            among = f"{len(where)} of {self.seen[name]} frames looked at"
            yield f"camera {name}: {what} in {among}, the first: {where[0]}"
        for name, count in self.seen.items():
            if self.dark[name] and self.dark[name] == count:
                yield f"camera {name} is black: all {count} frames looked at are zero"
            elif self.dark[name]:
                yield f"camera {name} is black in {self.dark[name]} of {count} frames looked at"
        for name, sizes in self.sizes.items():
            if len(sizes) > 1:
                told = ", ".join(f"{w}×{h} ({n})" for (h, w), n in sizes.most_common(4))
                yield f"camera {name} changes its size: {told} of {self.seen[name]} frames looked at"
        yield from self._colour_warnings()

    def _colour_warnings(self) -> Iterator[str]:
        groups = exchanged({name: np.mean(h, axis=0) for name, h in self.colours.items()})
        told = [" and ".join(group) for group in groups]
        if len(told) == 1:
            yield (
                f"suspicion: camera {told[0]} has red and blue exchanged (BGR): "
                "its colours fit those of the other cameras better with them changed back"
            )
        elif told:
            yield (
                f"suspicion: camera {told[0]} or camera {told[1]} has red and blue exchanged (BGR): "
                "their colours fit each other better with one of them changed"
            )


def look(reader: DescribedReader, skip_corrupt: bool = False) -> Looks:
    """Look at some frames of every camera.

    Args:
        skip_corrupt: count episodes that cannot be read in `skipped` instead of raising.

    Raises:
        DataError: an episode is damaged.
    """
    looks = Looks()
    for index in np.unique(np.linspace(0, len(reader) - 1, min(LOOKED_AT, len(reader))).astype(int)):
        try:
            episode = reader[int(index)]
            require_usable(episode, ANY, reader.name)
        except DataError as error:
            if not skip_corrupt:
                raise
            looks.skipped.append(Skipped(int(index), error.message, str(error)))
            continue
        looks.add(int(index), episode)
    return looks


def save_pictures(directory: Path, pictures: Mapping[str, Image], prefix: str = "") -> dict[str, Path]:
    """Each picture as a PNG named after its camera; the paths."""
    paths = {}
    for name, image in pictures.items():
        paths[name] = directory / f"{prefix}{name.replace('/', '_')}.png"
        write_bytes(paths[name], encode(image, "png"))
    return paths


def gallery(views: Sequence[View], paths: Mapping[str, Path], width: int = 200) -> Gallery:
    """The pictures side by side, each with its camera and size below."""
    items = [Media(str(paths[v.camera]), f"{v.camera}, {v.width}×{v.height}") for v in views]
    return Gallery(tuple(items), width)
