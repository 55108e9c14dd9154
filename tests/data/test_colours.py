"""Exchanged channels: found on real pictures with one camera changed, not suspected on unchanged ones."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from vla_data.explore.colours import MARGIN, chroma_histogram, exchanged, overlap
from vla_data.formats import open_episodes

Frames = list[dict[str, list[np.ndarray]]]


@pytest.fixture(scope="module")
def bridge(shared: Path) -> Frames:
    """Three frames of the three cameras that see something, for each episode."""
    reader = open_episodes(shared / "data/rlds")
    episodes = [reader[i] for i in range(len(reader))]
    return [
        {
            name: [frames[k] for k in (0, len(e) // 2, len(e) - 1)]
            for name, frames in e.images.items()
            if frames[0].any()
        }
        for e in episodes
    ]


def histograms(frames: Frames, changed: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    names = list(frames[0])
    return {
        n: chroma_histogram([f[..., ::-1] if n in changed else f for e in frames for f in e[n]])
        for n in names
    }


def test_real_cameras_are_not_suspected_and_each_changed_one_is(bridge: Frames):
    looked_at = bridge[::2]
    names = list(bridge[0])
    assert len(names) == 3
    unchanged = histograms(looked_at)
    assert exchanged(unchanged) == []
    gains = [
        overlap(unchanged[a], unchanged[b]) - overlap(unchanged[a], unchanged[b].T)
        for a, b in combinations(names, 2)
    ]
    assert min(gains) > 2 * MARGIN
    for name in names:
        assert exchanged(histograms(looked_at, (name,))) == [(name,)]


def test_the_error_rate_on_single_real_episodes_is_as_documented(bridge: Frames):
    names = list(bridge[0])
    alarms = sum(bool(exchanged(histograms([e]))) for e in bridge)
    found = sum(exchanged(histograms([e], (n,))) == [(n,)] for e in bridge for n in names)
    wrong = 0
    for episode in bridge:
        h = histograms([episode])
        wrong += sum(overlap(h[a], h[b]) < overlap(h[a], h[b].T) for a, b in combinations(names, 2))
    assert (len(bridge), alarms) == (25, 0)
    assert found >= 74
    assert wrong <= 1


def test_of_two_cameras_either_may_be_the_one(bridge: Frames):
    h = histograms(bridge[::2], (next(iter(bridge[0])),))
    first, second = list(h)[:2]
    assert sorted(exchanged({n: h[n] for n in (first, second)})) == sorted([(first,), (second,)])


def test_grey_or_single_cameras_raise_no_suspicion():
    rng = np.random.default_rng(0)
    grey = [np.repeat(rng.integers(0, 256, (16, 16, 1), np.uint8), 3, axis=2) for _ in range(2)]
    assert exchanged({"a": chroma_histogram(grey[:1]), "b": chroma_histogram(grey[1:])}) == []
    assert exchanged({"a": chroma_histogram(grey)}) == []
    assert exchanged({}) == []


@given(hnp.arrays(np.uint8, (6, 5, 3)))
def test_exchanging_channels_transposes_the_histogram(image: np.ndarray):
    histogram = chroma_histogram([image])
    np.testing.assert_allclose(chroma_histogram([image[..., ::-1]]), histogram.T, atol=1e-12)
    assert histogram.sum() == pytest.approx(1)
    assert overlap(histogram, histogram) == pytest.approx(1)
