"""Where to look: which of several views shows what a task is about, as labels tell in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from vla_data.errors import DataError
from vla_data.objects import VISIBLE, object_names
from vla_data.types import Episode
from vla_model.words import split_words

SEEN = 8  # pixels
ROBOT = "gripper"  # what is never looked for


def target_pixels(episode: Episode, cameras: Sequence[str]) -> Int64[np.ndarray, "t cameras"]:
    """How much each camera shows of what a labelled episode is about: what its instruction names, else what
    is not the robot.

    Raises:
        DataError: the episode or a camera has no labels, or there is nothing but the robot.
    """
    names = object_names(episode)
    said = set(split_words(episode.instruction))
    things = [i for i, name in enumerate(names) if name.kind != ROBOT]
    named = [i for i in things if set(split_words(names[i].kind)) <= said]
    missing = [c for c in cameras if VISIBLE + c not in episode.series]
    if missing or not things:
        raise DataError(
            "an episode does not tell what its cameras show of its target",
            where=f"episode {episode.id}",
            expected=f"labels of {', '.join(cameras)}, and an object",
            got=f"no labels of {', '.join(missing)}" if missing else "nothing but the robot",
            next_step="vla data generate SIM --preset views",
        )
    shown = [np.asarray(episode.series[VISIBLE + c])[:, named or things].sum(1) for c in cameras]
    return np.stack(shown, axis=1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Views:
    """The view each of B samples is seen through, the one it should be seen through, whether they agree."""

    now: Int64[np.ndarray, "b"]
    wanted: Int64[np.ndarray, "b"]
    sees: Bool[np.ndarray, "b"]


def drawn_views(pixels: Int64[np.ndarray, "b views"], rng: np.random.Generator) -> Views:
    """A view for each sample, by chance the best one or any. Where it shows the target, or none does, it is
    the one to stay with."""
    any_view = rng.integers(0, pixels.shape[1], len(pixels))
    now = np.where(rng.random(len(pixels)) < 0.5, pixels.argmax(1), any_view)
    return Views(now, wanted := wanted_views(pixels, now), wanted == now)


def wanted_views(pixels: Int64[np.ndarray, "b views"], now: Int64[np.ndarray, "b"]) -> Int64[np.ndarray, "b"]:
    """The view to look from, for samples that are seen through `now`."""
    shown = pixels[np.arange(len(pixels)), now]
    stay = (shown >= SEEN) | (pixels.max(1) < SEEN)
    return np.where(stay, now, pixels.argmax(1))
