"""Red and blue exchanged: suspected when one camera's colours fit the others' better with them changed back.

A pixel's chroma is the pair (red − green, blue − green). Exchanging red and blue transposes the joint
histogram of the two, and leaves grey where it is. Cameras of one scene see much the same colours, so the
histograms of two of them overlap more as they are than with one transposed; where it is the other way round,
one of the two has its channels exchanged. With three or more cameras the majority tells which.

What this cannot see is that all cameras are exchanged, or the only one. A prior would be needed, and the
obvious one (indoor pictures are more red than blue) is wrong for 8 of 75 Bridge pictures, whose sink is blue.

Measured on three frames of each of the 25 Bridge episodes and three cameras: seen for one episode only, none
of 25 is suspected wrongly and 74 of 75 exchanged cameras are found. Over the twelve episodes that `inspect`
looks at no margin is below 0.05 (`tests/data/test_colours.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from jaxtyping import Float64

from vla_data.types import Image

LIMIT = 96  # chroma beyond it counts as it
BINS = 24
MARGIN = 0.02  # of overlap, by which another assignment has to fit better
MAX_CAMERAS = 8  # assignments double with each


def chroma_histogram(frames: Sequence[Image]) -> Float64[np.ndarray, "bins bins"]:
    """How often each (red − green, blue − green) occurs; sums to 1, slightly blurred."""
    pixels = np.concatenate([f.reshape(-1, 3) for f in frames]).astype(np.int16)
    pairs = np.clip(pixels[:, [0, 2]] - pixels[:, [1]], -LIMIT, LIMIT - 1) + LIMIT
    cells = pairs * BINS // (2 * LIMIT)
    flat = np.bincount(cells[:, 0] * BINS + cells[:, 1], minlength=BINS * BINS)
    return _blurred(flat.reshape(BINS, BINS) / len(pixels))


def _blurred(histogram: np.ndarray) -> np.ndarray:
    """By (1, 2, 1)/4 along both axes, twice: neighbouring colours count as alike."""
    for axis in (0, 1, 0, 1):
        moved = np.moveaxis(
            np.pad(histogram, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], "edge"), axis, 0
        )
        histogram = np.moveaxis((moved[:-2] + 2 * moved[1:-1] + moved[2:]) / 4, 0, axis)
    return histogram


def overlap(a: Float64[np.ndarray, "bins bins"], b: Float64[np.ndarray, "bins bins"]) -> float:
    """Bhattacharyya coefficient: 1 for equal distributions, 0 for distributions that share nothing."""
    return float(np.sqrt(a * b).sum())


def exchanged(histograms: Mapping[str, Float64[np.ndarray, "bins bins"]]) -> list[tuple[str, ...]]:
    """Which cameras seem to have red and blue exchanged.

    Returns:
        nothing when the cameras agree; one group when a minority disagrees with the rest; two groups when
        as many stand on either side, one of which it must be.
    """
    names = list(histograms)[:MAX_CAMERAS]
    best, fit = (False,) * len(names), 0.0
    gains = {
        (i, j): overlap(histograms[a], histograms[b].T) - overlap(histograms[a], histograms[b])
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j
    }
    for rest in product((False, True), repeat=max(0, len(names) - 1)):
        turned = (False, *rest)
        gain = sum(g for (i, j), g in gains.items() if turned[i] != turned[j])
        if gain > fit + 1e-12:
            best, fit = turned, gain
    apart = sum(best[i] != best[j] for i, j in gains)
    if not apart or fit / apart < MARGIN:
        return []
    groups = [tuple(n for n, t in zip(names, best, strict=True) if t == side) for side in (True, False)]
    groups.sort(key=len)
    return groups if len(groups[0]) == len(groups[1]) else groups[:1]
