"""Which changes are made, in which order, and from which seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from vla_data.augment.cameras import CameraWarp
from vla_data.augment.colours import ColourJitter
from vla_data.augment.lazy import ChangedImages
from vla_data.augment.protocols import EpisodeChange, StepChange
from vla_data.augment.series import LagShift, MaskSpans
from vla_data.augment.steps import ImageNoise, StateDropout
from vla_data.errors import ConfigError
from vla_data.types import Episode

IMAGES, STATE = 0, 1


@dataclass(frozen=True)
class AugmentConfig:
    """A recipe.

    Args:
        episode: changes to an episode as a whole, in order.
        each_step: changes to each step by itself, made after those.
        seed: of everything drawn; with it, the episode's place in its split and the number of the copy, an
            augmented episode is the same wherever and whenever it is made.
        copies: augmented episodes for each one.
        original: keep the episode itself as well.
    """

    episode: tuple[LagShift | MaskSpans | CameraWarp | ColourJitter, ...] = ()
    each_step: tuple[StateDropout | ImageNoise, ...] = ()
    seed: int = 0
    copies: int = 1
    original: bool = True

    def __post_init__(self) -> None:
        for name, changes, kind in (
            ("episode", self.episode, EpisodeChange),
            ("each_step", self.each_step, StepChange),
        ):
            for change in changes:
                if not isinstance(change, kind):
                    raise ConfigError(
                        "a change is of the other kind",
                        where=f"AugmentConfig.{name}",
                        expected="changes to whole episodes" if name == "episode" else "changes to each step",
                        got=type(change).__name__,
                        next_step="whole-episode changes belong in `episode`, per-step ones in `each_step`",
                    )
        if self.copies < 1 or self.seed < 0:
            raise ConfigError(
                "nothing can be made of this",
                where="AugmentConfig",
                expected="copies of at least 1, a seed of at least 0",
                got=f"copies {self.copies}, seed {self.seed}",
            )


PRESETS: dict[str, Callable[[], AugmentConfig]] = {
    "default": lambda: AugmentConfig(
        (LagShift(), MaskSpans(), CameraWarp(crop=0.9, shift=0.02, zoom=0.05, roll=3.0), ColourJitter()),
        (StateDropout(whole=0.02), ImageNoise(std=3.0)),
    ),
    "images": lambda: AugmentConfig((CameraWarp(crop=0.9, shift=0.02, zoom=0.05, roll=3.0), ColourJitter())),
    "sensors": lambda: AugmentConfig((LagShift(), MaskSpans()), (StateDropout(),)),
    "debug": lambda: AugmentConfig((CameraWarp(), ColourJitter())),
}


def augmented(episode: Episode, config: AugmentConfig, index: int = 0, copy: int = 0) -> Episode:
    """One augmented copy of an episode. Images stay lazy.

    Args:
        config: the recipe.
        index: of the episode in its split.
        copy: which copy.
    """
    changed = episode
    for place, change in enumerate(config.episode):
        changed = change(changed, np.random.default_rng([config.seed, index, copy, place]))
    for place, change in enumerate(config.each_step, start=len(config.episode)):
        changed = change_steps(changed, change, (config.seed, index, copy, place))
    told = {"augmented_from": episode.id, "augment_seed": config.seed, "augment_copy": copy}
    return replace(changed, id=f"{episode.id}+{copy}", metadata={**episode.metadata, **told})


def unmasked(episode: Episode, config: AugmentConfig) -> Episode:
    """The episode itself, with the columns its copies have: masks that say that nothing was masked."""
    names = [n for change in config.episode if isinstance(change, MaskSpans) for n in change.names]
    known = [n for n in names if n == "state" or n in episode.series]
    masks = {f"mask/{n}": np.zeros(len(episode), bool) for n in known}
    return replace(episode, series={**episode.series, **masks})


def change_steps(episode: Episode, change: StepChange, seed: tuple[int, ...]) -> Episode:
    """The episode with each step changed by itself; frames when they are looked at, alike each time."""
    states = [
        change.change_state(state, np.random.default_rng([*seed, STATE, step]))
        for step, state in enumerate(episode.state)
    ]
    images = {
        name: ChangedImages(frames, partial(_change_frame, change, (*seed, IMAGES, place)))
        for place, (name, frames) in enumerate(sorted(episode.images.items()))
    }
    return replace(episode, state=np.stack(states) if states else episode.state, images=images)


def _change_frame(change: StepChange, seed: tuple[int, ...], image: np.ndarray, index: int) -> np.ndarray:
    return change.change_image(image, np.random.default_rng([*seed, index]))
