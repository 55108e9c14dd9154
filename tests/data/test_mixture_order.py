"""The order of samples: nothing twice, nothing left out, well mixed, and the same whoever asks."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_data.errors import ConfigError
from vla_data.mixture.order import ROUND, Order, slots_of
from vla_data.mixture.permutation import Permutation

SETS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=4)
SHAPES = {"lanes": st.integers(1, 40), "pool": st.integers(1, 6), "seed": st.integers(0, 2**31)}


def order(sets: list[list[int]], shares: list[float] | None = None, **options: int) -> Order:
    made = [np.array(s, np.int64) for s in sets]
    return Order(
        made, slots_of(shares or [1.0] * len(sets)), **({"seed": 0, "lanes": 8, "pool": 4} | options)
    )


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_a_permutation_is_one(size: int, key: int):
    chosen = Permutation(size, key)
    images = chosen.many(np.arange(size))
    assert sorted(images.tolist()) == list(range(size))
    for i in {0, size // 2, size - 1}:
        assert chosen(i) == images[i]


def test_every_order_of_a_few_things_is_as_likely():
    """Chi-square over the 120 orders of 5; a mean of 119, and 180 is exceeded once in 4,000 times."""
    keys = 6_000
    found = Counter(tuple(Permutation(5, key)(i) for i in range(5)) for key in range(keys))
    expected = keys / 120
    assert set(found) == set(permutations(range(5)))
    assert sum((n - expected) ** 2 / expected for n in found.values()) < 180


def test_neighbours_are_not_neighbours_any_more():
    images = Permutation(100_000, 7).many(np.arange(100_000))
    assert abs(np.corrcoef(images[1:], images[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(images, np.arange(100_000))[0, 1]) < 0.02


@given(sets=SETS.map(lambda s: s[:1]), lap=st.integers(0, 3), **SHAPES)
def test_a_pass_over_one_data_set_has_every_step_once(sets, lap, lanes, pool, seed):
    made = order(sets, lanes=lanes, pool=pool, seed=seed)
    steps = made.steps[0]
    places = [made.at(p) for p in range(lap * steps, (lap + 1) * steps)]
    assert {p.lap for p in places} == {lap}
    expected = [(e, t) for e, n in enumerate(sets[0]) for t in range(n)]
    assert sorted((p.episode, p.step) for p in places) == expected


@settings(max_examples=15)
@given(sets=SETS, data=st.data(), **SHAPES)
def test_no_step_of_any_data_set_is_lost_or_doubled(sets, data, lanes, pool, seed):
    shares = data.draw(st.lists(st.floats(0.05, 1), min_size=len(sets), max_size=len(sets)))
    made = order(sets, shares, lanes=lanes, pool=pool, seed=seed)
    goal = [(d, e, t) for d, s in enumerate(sets) for e, n in enumerate(s) for t in range(n)]
    rows = max((sum(s) // lanes + 4) * ROUND / slots for s, slots in zip(sets, made.slots, strict=True))
    end = lanes * int(rows + 1)  # by then every lane has done its part of every first pass
    places = [p for p in map(made.at, range(end)) if p.lap == 0]
    assert sorted((p.dataset, p.episode, p.step) for p in places) == goal


@settings(max_examples=20)
@given(sets=SETS, position=st.integers(0, 100_000), **SHAPES)
def test_what_was_drawn_is_counted_without_going_there(sets, position, lanes, pool, seed):
    made = order(sets, list(range(1, len(sets) + 1)), lanes=lanes, pool=pool, seed=seed)
    before, after = made.drawn(position), made.drawn(position + 100)
    found = Counter(made.at(p).dataset for p in range(position, position + 100))
    assert [b - a for a, b in zip(before, after, strict=True)] == [found[d] for d in range(len(sets))]
    assert sum(before) == position


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30))
def test_shares_are_kept_to_a_slot(shares):
    slots = slots_of(shares)
    assert sum(slots) == ROUND
    assert min(slots) >= 1
    for share, slot in zip(shares, slots, strict=True):
        exact = share / sum(shares) * ROUND
        assert slot <= max(1, np.ceil(exact))
        assert slot >= np.floor(exact) - len(shares)  # what tiny shares were given was taken from large ones


def test_counts_converge_to_the_shares_and_meet_them_after_whole_rounds():
    made = order([[20] * 30, [7] * 9, [50] * 4], [0.6, 0.3, 0.1], lanes=16)
    for n in (100, 2_000, 20_000, 200_000):
        for drawn, slot in zip(made.drawn(n), made.slots, strict=True):
            assert abs(drawn - n * slot / ROUND) < 2 * 16  # no lane is more than two samples off
    assert made.drawn(3 * ROUND * 16) == tuple(3 * 16 * slot for slot in made.slots)


def test_workers_that_divide_the_lanes_share_hardly_an_episode():
    """Only episodes that lie across the border of two pieces are read twice."""
    made = order([[20] * 400], lanes=32, pool=4)
    readers: dict[int, set[int]] = {}
    for position in range(made.steps[0]):
        readers.setdefault(made.at(position).episode, set()).add(position % 8)
    assert sum(len(workers) - 1 for workers in readers.values()) <= 32


def test_few_episodes_are_in_use_at_a_time():
    made = order([[20] * 4000], lanes=8, pool=4)
    for start in (0, 10_000, 40_000):
        in_use = {made.at(p).episode for p in range(start, start + 8 * 40)}
        assert len(in_use) <= 8 * (2 * 4 + 2)  # the end of one block and the begin of the next


def test_samples_that_follow_each_other_have_nothing_in_common():
    """Beside a shuffle of all steps: 63.5 episodes in 64 samples, no correlation of neighbours."""
    rng = np.random.default_rng(0)
    made = order([rng.integers(20, 60, 5000).tolist()], lanes=32, pool=32)
    places = [made.at(p) for p in range(6400)]
    episodes, steps = (np.array([getattr(p, k) for p in places]) for k in ("episode", "step"))
    assert np.mean(episodes[1:] == episodes[:-1]) < 0.001
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.05
    assert np.mean([len(set(episodes[i : i + 64])) for i in range(0, 6400, 64)]) > 61


def test_passes_and_seeds_differ():
    made, other = order([[9] * 50]), order([[9] * 50], seed=1)
    first, second, third = (
        [(p.episode, p.step) for p in map(o.at, range(start, start + 450))]
        for o, start in ((made, 0), (made, 450), (other, 0))
    )
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 15
    assert sum(a == b for a, b in zip(first, third, strict=True)) < 15


def test_an_order_that_makes_no_sense_is_refused():
    with pytest.raises(ConfigError):
        Order([np.array([3])], [5], 0, 8, 4)
    with pytest.raises(ConfigError):
        order([[3]], lanes=0)
