"""Two data sets held against each other, episode by episode: what is equal, and how far images differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.images import EncodedImages
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.types import Episode, ImageSequence

LOOKED_AT = 3  # frames of a camera whose pixels are compared when they may differ
BATCH = 16  # episodes between two reports of progress
Pair = tuple[EpisodeSource, EpisodeSource, Sequence[int]]


@dataclass(frozen=True)
class Comparison:
    """What was compared, all of it equal but for the images that may differ.

    Args:
        episodes, arrays, frames: how many were compared.
        equal_bytes: frames whose encoded bytes are equal.
        equal_pixels: further frames whose pixels are equal.
        psnr: worst peak signal-to-noise ratio of a frame that differs, in decibels; None when none does.
    """

    episodes: int = 0
    arrays: int = 0
    frames: int = 0
    equal_bytes: int = 0
    equal_pixels: int = 0
    psnr: float | None = None


def compare_all(
    pairs: Sequence[Pair], exact: bool = True, on_progress: OnProgress = no_progress
) -> Comparison:
    """Hold copies against their sources.

    Args:
        pairs: a source, its copy, and which episodes of the source the copy's are, in order.
        exact: every pixel must be equal; otherwise a few frames of each camera are looked at.

    Raises:
        DataError: something differs that must not; it says where.
    """
    total, found = sum(len(indices) for _, _, indices in pairs), Comparison()
    for source, copy, indices in pairs:
        if len(copy) != len(indices):
            _differ(copy.name, "episodes", str(len(indices)), str(len(copy)))
        for i, index in enumerate(indices):
            found = compare(source[index], copy[i], f"{copy.name}, episode {i}", exact, found)
            if found.episodes % BATCH == 0 or found.episodes == total:
                on_progress(Progress("comparing", found.episodes, total, "episodes"))
    return found


def compare(
    source: Episode, copy: Episode, where: str, exact: bool = True, so_far: Comparison = Comparison()
) -> Comparison:
    """Hold an episode against its source; what `so_far` counted is added.

    Raises:
        DataError: as `compare_all`.
    """
    for name in ("id", "robot", "instruction", "paraphrases", "substeps", "cameras", "metadata"):
        expected, got = getattr(source, name), getattr(copy, name)
        if expected != got:
            _differ(where, name, str(expected), str(got))
    arrays = {"action": source.action, "state": source.state, "time": source.time}
    theirs = {"action": copy.action, "state": copy.state, "time": copy.time}
    for kind in ("series", "depth"):
        arrays |= _named(kind, getattr(source, kind))
        theirs |= _named(kind, getattr(copy, kind))
    _same_names(where, "arrays", arrays, theirs)
    for name, expected in arrays.items():
        _same_array(f"{where}, {name}", np.asarray(expected), np.asarray(theirs[name]))
    found = replace(so_far, episodes=so_far.episodes + 1, arrays=so_far.arrays + len(arrays))
    _same_names(where, "cameras", source.images, copy.images)
    for name, frames in source.images.items():
        found = _frames(f"{where}, camera {name}", frames, copy.images[name], exact, found)
    return found


def _named(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind}/{name}": value for name, value in values.items()}


def _same_names(where: str, what: str, expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    if sorted(expected) != sorted(got):
        _differ(where, what, ", ".join(sorted(expected)), ", ".join(sorted(got)))


def _same_array(where: str, expected: np.ndarray, got: np.ndarray) -> None:
    if expected.dtype.name != got.dtype.name or expected.shape != got.shape:
        _differ(where, "form", f"{expected.dtype} {expected.shape}", f"{got.dtype} {got.shape}")
    floats = expected.dtype.kind == "f"
    if not np.array_equal(expected, got, equal_nan=floats):
        wrong = np.argwhere((expected != got) & ~((expected != expected) & (got != got)))[0]
        at = tuple(wrong.tolist())
        _differ(where, f"value at {list(at)}", str(expected[at]), str(got[at]))


def _frames(
    where: str, expected: ImageSequence, got: ImageSequence, exact: bool, so_far: Comparison
) -> Comparison:
    count = len(expected)
    if len(got) != count:
        _differ(where, "frames", str(count), str(len(got)))
    encoded = isinstance(expected, EncodedImages) and isinstance(got, EncodedImages)
    chosen = (
        range(count) if exact else np.unique(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(int))
    )
    equal_bytes, equal_pixels, worst = 0, 0, so_far.psnr
    for i in map(int, chosen):
        if encoded and bytes(expected.frames[i]) == bytes(got.frames[i]):  # type: ignore[union-attr]
            equal_bytes += 1
            continue
        ratio = _psnr(f"{where}, frame {i}", expected[i], got[i])
        if ratio is None:
            equal_pixels += 1
        elif exact:
            _differ(f"{where}, frame {i}", "pixels", "equal ones", f"a ratio of {ratio:.1f} dB")
        else:
            worst = ratio if worst is None else min(worst, ratio)
    return replace(
        so_far,
        frames=so_far.frames + len(chosen),
        equal_bytes=so_far.equal_bytes + equal_bytes,
        equal_pixels=so_far.equal_pixels + equal_pixels,
        psnr=worst,
    )


def _psnr(where: str, expected: np.ndarray, got: np.ndarray) -> float | None:
    """Peak signal-to-noise ratio in decibels; None for equal images."""
    if expected.shape != got.shape:
        _differ(where, "size", str(expected.shape), str(got.shape))
    error = float(np.mean((expected.astype(np.float32) - got) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else None


def _differ(where: str, what: str, expected: str, got: str) -> None:
    raise DataError(
        f"a copy differs from its source: {what}",
        where=where,
        expected=expected[:300],
        got=got[:300],
        next_step="keep the source, and do not use the copy",
    )
