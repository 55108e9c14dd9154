"""Going through a mixture: in order whoever prepares it, and on from wherever it was left."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.mixtures import Numbered, lengths, mix, write_numbered
from tests.data.squares import Squares

from vla_data.errors import CheckpointError, ConfigError, DataError, VlaError
from vla_data.mixture import (
    DatasetShare,
    Mixture,
    MixtureBatches,
    MixtureConfig,
    MixtureStream,
    WindowConfig,
    iterate,
)

A, B = Numbered("a", lengths(1, 20)), Numbered("b", lengths(2, 7))
MIXED = mix(A, B, weights=(2, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_in_order_whoever_makes_them(workers: int):
    found = list(iterate(Squares(), range(5, 40, 3), workers=workers, ahead=2))
    assert [item for item, _ in found] == [p * p for p in range(5, 40, 3)]
    makers = {pid for _, pid in found}
    assert len(makers) == max(1, workers)
    assert (os.getpid() in makers) == (workers == 0)


def test_errors_come_where_they_happened_and_deaths_are_told():
    items = iterate(Squares(bad=4), range(9), workers=2)
    assert [item for item, _ in islice(items, 4)] == [0, 1, 4, 9]
    with pytest.raises(DataError, match="damaged"):
        next(items)
    with pytest.raises(VlaError, match="ZeroDivisionError"):
        list(iterate(Squares(odd=1), range(3), workers=1))
    with pytest.raises(VlaError, match="a worker process died") as caught:
        list(iterate(Squares(fatal=3), range(9), workers=1))
    assert "exit code 9" in str(caught.value.got)


def test_leaving_early_leaves_no_process_behind():
    import multiprocessing

    before = set(multiprocessing.active_children())
    items = iterate(Squares(), range(10_000), workers=2)
    next(items)
    items.close()
    assert set(multiprocessing.active_children()) <= before


def positions(stream: MixtureStream[Any], count: int) -> list[int]:
    return [sample.position for sample in islice(stream, count)]


@settings(max_examples=15)
@given(st.integers(0, 120), st.integers(0, 40), st.integers(1, 4), st.integers(0, 3))
def test_resuming_anywhere_goes_on_as_if_never_stopped(done, between, ranks, rank):
    """Also when the state was taken earlier than the end, and carried as JSON."""
    rank %= ranks
    mixture = MIXED
    alone = positions(MixtureStream(mixture, rank=rank, ranks=ranks), done + between + 20)
    first = MixtureStream(mixture, rank=rank, ranks=ranks)
    items = iter(first)
    for _ in range(done):
        next(items)
    state = json.loads(json.dumps(first.state_dict()))
    assert [next(items).position for _ in range(between)] == alone[done : done + between]
    second = MixtureStream(mix(A, B, weights=(2, 1)), rank=rank, ranks=ranks)
    second.load_state_dict(state)
    assert positions(second, between + 20) == alone[done:]


@settings(max_examples=20)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 5))
def test_another_number_of_ranks_goes_on_without_gap_or_double(done, ranks, later):
    mixture = mix(A, B)
    streams = [MixtureStream(mixture, rank=r, ranks=ranks) for r in range(ranks)]
    taken = [p for s in streams for p in positions(s, done)]
    [state] = {json.dumps(s.state_dict()) for s in streams}
    for r in range(later):
        stream = MixtureStream(mixture, rank=r, ranks=later)
        stream.load_state_dict(json.loads(state))
        taken += positions(stream, 7)
    assert sorted(taken) == list(range(done * ranks + 7 * later))


def test_the_state_counts_what_was_handed_out_not_what_was_made_ahead():
    stream = MixtureStream(mix(A), workers=2, ahead=8)
    assert positions(stream, 5) == [0, 1, 2, 3, 4]
    assert stream.state_dict()["position"] == 5
    more = MixtureStream(mix(A), workers=3)
    more.load_state_dict(stream.state_dict())
    assert positions(more, 3) == [5, 6, 7]


def test_a_state_of_something_else_is_refused():
    state = MixtureStream(mix(A)).state_dict()
    for other in (mix(A, seed=1), mix(A, B), mix(A, action_horizon=4), MixtureBatches(mix(A), 4)):
        with pytest.raises(CheckpointError, match="another mixture"):
            MixtureStream(other).load_state_dict(state)
    for broken in ({}, state | {"position": -1}, state | {"format": 2}, state | {"position": "3"}):
        with pytest.raises(CheckpointError, match="cannot be read"):
            MixtureStream(mix(A)).load_state_dict(broken)
    with pytest.raises(ConfigError):
        MixtureStream(mix(A), rank=2, ranks=2)


def test_a_torch_loader_takes_it_as_it_is(tmp_path: Path):
    """Batches over two spawned workers, from files, and on from the fourth batch."""
    torch = pytest.importorskip("torch.utils.data")
    shares = tuple(DatasetShare(str(write_numbered(tmp_path, n, [9, 8, 7, 6]))) for n in ("one", "two"))
    mixture = Mixture.open(MixtureConfig(shares, WindowConfig(cameras=("primary", "wrist"))))
    batches = MixtureBatches(mixture, 4)
    expected = [batches[j] for j in range(10)]

    spawned = {"num_workers": 2, "multiprocessing_context": "spawn"}
    loader = torch.DataLoader(batches, batch_size=None, sampler=range(4, 10), **spawned)
    for got, wanted in zip(loader, expected[4:], strict=True):
        assert got["instruction"] == wanted["instruction"]
        for key in wanted.keys() - {"instruction"}:
            np.testing.assert_array_equal(np.asarray(got[key]), wanted[key], key)
    loader = torch.DataLoader(mixture, batch_size=None, sampler=mixture.positions(rank=1, ranks=2))
    assert [s.position for s in loader] == list(range(1, len(mixture), 2))
