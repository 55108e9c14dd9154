"""Which episodes can be used: one rule for all that reads many, and one count of what was left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vla_data.errors import ConfigError, DataError
from vla_data.protocols import EpisodeSource
from vla_data.types import Episode

log = logging.getLogger(__name__)


def episode_at(source: EpisodeSource, index: int) -> Episode:
    """An episode by its number.

    Raises:
        ConfigError: there is none of that number.
    """
    if not 0 <= index < len(source):
        raise ConfigError(
            "there is no such episode",
            where=source.name,
            expected=f"a number from 0 to {len(source) - 1}" if len(source) else "a split that has episodes",
            got=str(index),
        )
    return source[index]


def require_step(episode: Episode, step: int) -> None:
    """Raise ConfigError unless the episode has a step of that number."""
    if not 0 <= step < len(episode):
        raise ConfigError(
            "the episode has no such step",
            where=f"episode {episode.id}",
            expected=f"a number from 0 to {len(episode) - 1}",
            got=str(step),
        )


@dataclass(frozen=True)
class Requirements:
    """What an episode must have.

    Args:
        min_steps: shorter ones hold no motion.
        finite: every number of action and state is finite.
        instruction: something is asked for in words.
    """

    min_steps: int = 2
    finite: bool = True
    instruction: bool = False


ANY = Requirements(min_steps=0, finite=False)


@dataclass(frozen=True)
class Skipped:
    """An episode left out: `kind` in a word or two, the whole message, where it lies."""

    index: int
    kind: str
    message: str


class UnusableEpisodeError(DataError):
    """An episode that can be read and cannot be used; `kind` says why in a word or two."""

    kind = "unusable"


def require_usable(episode: Episode, require: Requirements, where: str) -> None:
    """Raise UnusableEpisodeError unless the episode has what is required."""
    for kind, wrong, expected, got in _faults(episode, require):
        if wrong:
            error = UnusableEpisodeError(
                f"an episode cannot be used: {kind}",
                where=f"{where}, episode {episode.id}",
                expected=expected,
                got=got,
                next_step="leave such episodes out and count them: --skip-corrupt",
            )
            error.kind = kind
            raise error


def _faults(episode: Episode, require: Requirements) -> Iterator[tuple[str, bool, str, str]]:
    steps = len(episode)
    yield "too short", steps < require.min_steps, f"at least {require.min_steps} steps", f"{steps}"
    for name in ("action", "state") if require.finite else ():
        values = getattr(episode, name)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1)) if values.size else np.empty(0, np.int64)
        where = f"{len(bad)} steps with NaN or Inf, the first at step {bad[0]}" if len(bad) else ""
        yield f"{name} not finite", bool(len(bad)), "finite numbers", where
    empty = not episode.instruction.strip()
    yield "no instruction", require.instruction and empty, "an instruction in words", "none"


def usable_episodes(
    reader: EpisodeSource,
    require: Requirements = Requirements(),
    *,
    images: bool = False,
    skip_corrupt: bool = False,
    skipped: list[Skipped] | None = None,
) -> Iterator[tuple[int, Episode]]:
    """(index, episode) of every episode that can be read and used.

    Args:
        images: hand out episodes whose images can be looked at; without, no image is read where the
            source can do without.
        skip_corrupt: leave out what cannot be read or used instead of raising.
        skipped: each episode left out is added here.

    Raises:
        DataError: an episode is damaged or lacks something, and `skip_corrupt` is off.
    """
    read = reader.__getitem__ if images else getattr(reader, "read_series", reader.__getitem__)
    for index in range(len(reader)):
        try:
            episode = read(index)
            require_usable(episode, require, reader.name)
        except DataError as error:
            if not skip_corrupt:
                raise
            note = Skipped(index, getattr(error, "kind", error.message), str(error))
            log.warning("left out episode %d of %s: %s", index, reader.name, error.message)
            if skipped is not None:
                skipped.append(note)
            continue
        yield index, episode
