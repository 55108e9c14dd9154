"""The same units through every engine: the same results, the same errors, nothing imported too early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.data import engine_work

from vla_data.engines import ENGINES, run_units
from vla_data.errors import ConfigError, DataError, MissingDependencyError, UnknownNameError, VlaError

UNITS = list(range(5))
# Beam's workers cost seconds to start: slow tests have them, the others a thread of this process.
HERE = {"pool": [], "beam": ["--direct_running_mode=in_memory"]}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Beam's workers are started by a command line: they look for a test's module on the path."""
    monkeypatch.setenv("PYTHONPATH", str(root))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_same(engine: str):
    found = dict(run_units(engine_work.count, UNITS, engine, workers=1, options=HERE[engine]))
    assert {n: (r["unit"], r["parts"]) for n, r in found.items()} == {n: (n, list(range(n))) for n in UNITS}


@pytest.mark.parametrize("engine", ["pool", pytest.param("beam", marks=pytest.mark.slow)])
def test_it_works_in_processes_of_its_own(engine: str):
    found = dict(run_units(engine_work.count, UNITS, engine, workers=2))
    assert {n: (r["unit"], r["parts"]) for n, r in found.items()} == {n: (n, list(range(n))) for n in UNITS}
    assert os.getpid() not in {r["process"] for r in found.values()}


def test_results_can_be_made_into_what_they_were():
    [(unit, found)] = run_units(engine_work.count, [3], workers=1, result=engine_work.Count)
    assert isinstance(found, engine_work.Count)
    assert (unit, found.parts) == (3, (0, 1, 2))


@pytest.mark.slow
def test_a_generated_data_set_does_not_depend_on_the_engine(tmp_path: Path):
    from vla_data.sim.generate import GenerateConfig, generate

    config = GenerateConfig(tasks=("reach",), episodes=2, episodes_per_shard=1, cameras=())
    shards = []
    for engine in ENGINES:
        made = Path(generate(config, tmp_path / engine, workers=2, engine=engine)["directory"])
        shards.append([p.read_bytes() for p in sorted(made.glob("*.tfrecord*"))])
    assert len(shards[0]) == 2
    assert shards[0] == shards[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_comes_back_with_every_field(engine: str):
    with pytest.raises(DataError) as caught:
        list(run_units(engine_work.refuse, [1, 2], engine, workers=1, options=HERE[engine]))
    assert caught.value.to_dict() == {
        "type": "DataError",
        "message": "a record is broken",
        "where": "shard 2",
        "expected": "crc 1",
        "got": "x",
        "next": "y",
        "exit_code": DataError.exit_code,
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_no_unit_no_work(engine: str):
    assert list(run_units(engine_work.count, [], engine)) == []


def test_what_cannot_be_carried_back_is_told():
    with pytest.raises(VlaError, match="cannot be carried back"):
        list(run_units(engine_work.give_an_object, [1], workers=1))


def test_the_runners_options_reach_it(tmp_path: Path):
    """One thread of this process instead of processes; results pass through the place that was named."""
    options = ["--direct_running_mode=in_memory", f"--temp_location={tmp_path / 'shared'}"]
    found = dict(run_units(engine_work.count, [1, 2], "beam", options=options))
    assert {r["process"] for r in found.values()} == {os.getpid()}
    assert (tmp_path / "shared").is_dir()
    assert list((tmp_path / "shared").iterdir()) == []


def test_options_and_names_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="pol"):
        run_units(engine_work.count, UNITS, "pol")
    with pytest.raises(ConfigError, match="no options"):
        run_units(engine_work.count, UNITS, options=["--runner=x"])


def test_without_beam_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(MissingDependencyError) as caught:
        list(run_units(engine_work.count, UNITS, "beam"))
    assert "vla-data[beam]" in str(caught.value.expected)


def test_beam_is_imported_when_asked_for_and_leaves_the_root_logger_alone():
    program = (
        "import logging, sys\n"
        "from vla_data.engines import run_units\n"
        "assert 'apache_beam' not in sys.modules\n"
        "found = list(run_units(len, ['ab'], 'beam', options=['--direct_running_mode=in_memory']))\n"
        "assert found == [('ab', 2)] and 'apache_beam' in sys.modules\n"
        "assert logging.getLogger().handlers == []\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
