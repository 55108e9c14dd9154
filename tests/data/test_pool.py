"""Work over processes: every result once, and a death in the pool is told, not waited for."""

from __future__ import annotations

import os
import time

import pytest

from vla_data.errors import DataError, VlaError
from vla_data.pool import cpu_count, map_units


def square(unit: int) -> int:
    time.sleep(0.02 * (3 - unit % 4))  # later units end first
    return unit * unit


def process(unit: int) -> int:
    return os.getpid()


def die(unit: str) -> str:
    if unit == "shard-2":
        os._exit(1)
    return unit


def refuse(unit: int) -> int:
    raise DataError("a record is broken", where=f"shard {unit}", expected="crc 1", got="crc 2", next_step="x")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_unit_gives_its_own_result_whatever_the_order(workers: int):
    units = list(range(8))
    results = list(map_units(square, units, workers))
    assert sorted(results) == [(u, u * u) for u in units]


def test_work_never_runs_in_this_process():
    assert os.getpid() not in {pid for _, pid in map_units(process, [1], workers=1)}


def test_no_unit_no_pool():
    assert list(map_units(square, [])) == []


def test_a_worker_that_dies_is_named_with_what_was_under_way():
    finished = []
    with pytest.raises(VlaError, match="a worker process died") as caught:
        finished.extend(unit for unit, _ in map_units(die, ["shard-1", "shard-2"], workers=1))
    assert "shard-2" in str(caught.value.where)
    assert not any(unit in str(caught.value.where) for unit in finished)
    assert caught.value.next_step


def test_an_error_of_the_work_comes_through_with_every_field():
    with pytest.raises(DataError) as caught:
        list(map_units(refuse, [7], workers=1))
    assert caught.value.to_dict() == {
        "type": "DataError",
        "message": "a record is broken",
        "where": "shard 7",
        "expected": "crc 1",
        "got": "crc 2",
        "next": "x",
        "exit_code": DataError.exit_code,
    }


def test_counts_at_least_one_core():
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)
