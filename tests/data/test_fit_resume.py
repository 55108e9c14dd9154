"""Interrupted training, taken up again, ends with exactly the weights it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.data.fit_cases import CONFIG, STEPS, Capricious, StopHereError, batches, stop_at, train, validate

from vla_data.errors import CheckpointError
from vla_data.fit import FitConfig, fit, load_weights
from vla_data.protocols import no_progress


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose `w.safetensors` and `metrics.csv` come from one go."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    train(directory, no_progress, directory / "w.safetensors")
    return directory


def assert_same(directory: Path, weights: Path, uninterrupted: Path) -> None:
    assert weights.read_bytes() == (uninterrupted / "w.safetensors").read_bytes()
    assert (directory / "metrics.csv").read_bytes() == (uninterrupted / "metrics.csv").read_bytes()
    assert [p.name for p in directory.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("steps", [(1,), (4,), (2, 6, 6, 13), (STEPS,)])
def test_an_exception_at_any_step_changes_nothing(
    steps: tuple[int, ...], tmp_path: Path, uninterrupted: Path
):
    directory, weights = tmp_path / "run", tmp_path / "w.safetensors"
    for step in steps:
        with pytest.raises(StopHereError):
            train(directory, stop_at(step), weights)
    train(directory, no_progress, weights)
    assert_same(directory, weights, uninterrupted)


def test_a_kill_at_any_moment_changes_nothing(tmp_path: Path, uninterrupted: Path, root: Path):
    answer = subprocess.run(
        [sys.executable, "-m", "tests.data.fit_kills", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    cases = [line.split() for line in answer.stdout.splitlines()]
    assert len(cases) == 7
    for name, killed, finished in cases:
        assert (killed, finished) == (str(-signal.SIGKILL), "0"), name
        assert_same(tmp_path / name, tmp_path / f"{name}.safetensors", uninterrupted)


def test_a_run_says_where_it_was_taken_up(tmp_path: Path):
    with pytest.raises(StopHereError):
        train(tmp_path, stop_at(8), tmp_path / "w")
    result = fit(Capricious(), batches, CONFIG, tmp_path, no_progress, validate=validate, validate_every=4)
    assert result.resumed_from == 6
    assert [step for step, _ in result.history["loss"]] == list(range(1, STEPS + 1))
    assert [step for step, _ in result.history["validation"]] == [4, 8, 12, STEPS]


def test_the_average_is_what_remains(uninterrupted: Path, tmp_path: Path):
    module = Capricious()
    fit(module, batches, replace(CONFIG, ema_decay=None), tmp_path, no_progress)
    averaged = Capricious()
    load_weights(averaged, uninterrupted / "w.safetensors")
    assert not module.into.weight.equal(averaged.into.weight)
    # The average trails the weights; buffers are not averaged and saw the same inputs.
    start = Capricious()
    moved = (module.into.weight - start.into.weight).norm()
    assert 0 < (averaged.into.weight - start.into.weight).norm() < moved


@pytest.mark.parametrize("config", [replace(CONFIG, learning_rate=0.5), replace(CONFIG, steps=STEPS + 1)])
def test_the_state_of_another_configuration_is_refused(config: FitConfig, tmp_path: Path):
    with pytest.raises(StopHereError):
        train(tmp_path, stop_at(5), tmp_path / "w")
    before = (tmp_path / ".resume" / "last.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="another configuration") as caught:
        train(tmp_path, no_progress, tmp_path / "w", config)
    assert caught.value.next_step is not None
    assert "rm -r" in caught.value.next_step
    assert (tmp_path / ".resume" / "last.safetensors").read_bytes() == before


def test_a_flipped_bit_in_the_state_is_refused(tmp_path: Path):
    with pytest.raises(StopHereError):
        train(tmp_path, stop_at(5), tmp_path / "w")
    path = tmp_path / ".resume" / "last.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        train(tmp_path, no_progress, tmp_path / "w")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(tmp_path, no_progress, tmp_path / "w")
