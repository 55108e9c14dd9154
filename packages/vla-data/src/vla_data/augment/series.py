"""Changes to when and whether something was sensed, drawn once an episode: lags, masked spans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vla_data.augment.lazy import slice_images
from vla_data.errors import ConfigError
from vla_data.types import Episode, SubStep

Range = tuple[int, int]
LEAST_STEPS = 2  # what is left of an episode after a lag
OF_IMAGES, OF_STATE = ("pose/", "segmentation/", "objects/"), ("observation/",)


def require_range(where: str, low: float, high: float, least: float = 0.0) -> None:
    """Raise ConfigError unless least <= low <= high."""
    if not least <= low <= high:
        raise ConfigError(
            "a range to draw from is empty or reaches too far",
            where=where,
            expected=f"{least:g} <= low <= high",
            got=f"({low:g}, {high:g})",
        )


@dataclass(frozen=True)
class LagShift:
    """Observations that arrive late, or actions that take effect late.

    At each step of the result stand the action of that instant, the state of `state` steps earlier and the
    images and depth of `images` steps earlier; a positive `action` puts the action of earlier instants there.
    Each is drawn once an episode, ends included. Steps whose partners would lie outside the episode go.

    Args:
        state, images, action: (least, most) steps late.
    """

    state: Range = (0, 1)
    images: Range = (0, 2)
    action: Range = (0, 0)
    kind: Literal["lag"] = "lag"

    def __post_init__(self) -> None:
        for name in ("state", "images", "action"):
            require_range(f"LagShift.{name}", *getattr(self, name))

    def __call__(self, episode: Episode, rng: np.random.Generator) -> Episode:
        drawn = [int(rng.integers(low, high + 1)) for low, high in (self.state, self.images, self.action)]
        state, images, action = (min(lag, max(0, len(episode) - LEAST_STEPS)) for lag in drawn)
        return shifted(episode, state, images, action)


def shifted(episode: Episode, state: int, images: int, action: int) -> Episode:
    """The episode with its streams so many steps late, on what they share; sub-steps go with the action."""
    first = max(state, images, action)
    steps = len(episode) - first
    starts = {"state": first - state, "images": first - images, "action": first - action}

    def cut(values: np.ndarray, stream: str) -> np.ndarray:
        return values[starts[stream] : starts[stream] + steps]

    return replace(
        episode,
        action=cut(episode.action, "action"),
        state=cut(episode.state, "state"),
        time=cut(episode.time, "action") - episode.time[starts["action"]] + episode.time[0],
        images={n: slice_images(f, starts["images"], steps) for n, f in episode.images.items()},
        depth={n: cut(np.asarray(d), "images") for n, d in episode.depth.items()},
        series={n: cut(v, _stream(n)) for n, v in episode.series.items()},
        substeps=_cut_substeps(episode.substeps, starts["action"], steps),
    )


def _stream(series: str) -> str:
    """Which clock a series goes by."""
    if series.startswith(OF_IMAGES):
        return "images"
    return "state" if series.startswith(OF_STATE) else "action"


def _cut_substeps(steps: tuple[SubStep, ...], start: int, length: int) -> tuple[SubStep, ...]:
    moved = [SubStep(max(0, s.start - start), min(length, s.stop - start), s.text) for s in steps]
    return tuple(s for s in moved if s.stop > s.start)


@dataclass(frozen=True)
class MaskSpans:
    """A sensor that fails for a while: spans of the state, or of series, are held or zero.

    A boolean series `mask/<name>` says where (False: as measured).

    Args:
        names: "state", or names of series of numbers; those an episode lacks are passed over.
        spans: (least, most) spans in each.
        length: (least, most) steps of a span.
        fill: "hold" repeats the last value before the span, "zero" puts zeros there.
    """

    names: tuple[str, ...] = ("state",)
    spans: Range = (0, 2)
    length: Range = (2, 8)
    fill: Literal["hold", "zero"] = "hold"
    kind: Literal["mask"] = "mask"

    def __post_init__(self) -> None:
        require_range("MaskSpans.spans", *self.spans)
        require_range("MaskSpans.length", *self.length, least=1)

    def __call__(self, episode: Episode, rng: np.random.Generator) -> Episode:
        changed, masks = dict(episode.series), dict[str, np.ndarray]()
        state = episode.state
        for name in self.names:
            mask = self._mask(len(episode), rng)
            if name == "state":
                state = self._filled(state, mask)
            elif name in changed:
                changed[name] = self._filled(np.asarray(changed[name]), mask)
            else:
                continue
            masks[f"mask/{name}"] = mask
        return replace(episode, state=state, series={**changed, **masks})

    def _mask(self, steps: int, rng: np.random.Generator) -> np.ndarray:
        """Where the spans are: none of them holds the first step, before which there is nothing to hold."""
        mask = np.zeros(steps, bool)
        for _ in range(int(rng.integers(self.spans[0], self.spans[1] + 1))):
            length = int(rng.integers(self.length[0], self.length[1] + 1))
            start = int(rng.integers(1, max(2, steps - length + 1)))
            mask[start : start + length] = True
        return mask

    def _filled(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self.fill == "hold":
            last = np.maximum.accumulate(np.where(mask, 0, np.arange(len(mask))))
            return values[last]
        filled = values.copy()
        filled[mask] = 0
        return filled
