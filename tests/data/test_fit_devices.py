"""Training on two CPU processes is training with gradients added up over two batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, fit
from vla_data.fit.weights import read_tensors
from vla_data.protocols import no_progress
from vla_data.runs import Stage, run_stage

SCRIPT = Path(__file__).with_name("fit_devices.py")


def trained(directory: Path, *options: object, code: int = 0) -> str:
    directory.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(directory), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode == 0) == (code == 0), done.stderr[-3000:]
    return done.stderr


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return read_tensors(directory / "out" / "weights.safetensors")[0]


def summary(directory: Path) -> dict:
    return json.loads((directory / "out" / "manifest.json").read_text())["summary"]


def test_two_processes_do_what_one_does_with_twice_the_batches(tmp_path: Path) -> None:
    trained(tmp_path / "one", 1, 2, 10)
    trained(tmp_path / "two", 2, 1, 10)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, values in one.items():
        torch.testing.assert_close(values, two[name], rtol=1e-5, atol=1e-6)
    losses = [torch.tensor(summary(tmp_path / d)["losses"]) for d in ("one", "two")]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-6)
    assert (tmp_path / "two" / "tried").read_text() == "once\n" * 2  # at steps 5 and 10, by the first process


@pytest.mark.slow
def test_two_processes_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    trained(tmp_path / "whole", 2, 1, 10, "noisy")
    trained(tmp_path / "cut", 2, 1, 10, "noisy", "stop6", code=1)
    assert not (tmp_path / "cut" / "out" / "manifest.json").exists()
    trained(tmp_path / "cut", 2, 1, 10, "noisy")
    assert summary(tmp_path / "cut")["resumed"] == 4
    for name, values in weights(tmp_path / "whole").items():
        assert torch.equal(values, weights(tmp_path / "cut")[name])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_process_stops_both(tmp_path: Path) -> None:
    said = trained(tmp_path / "bad", 2, 1, 10, "fail", code=1)
    assert "NaN or infinite" in said
    assert not (tmp_path / "bad" / "out" / "weights.safetensors").exists()


def test_no_device_is_no_training() -> None:
    with pytest.raises(ConfigError, match="devices"):
        FitConfig(devices=0)


def test_a_command_trains_once_on_several_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second launch would wait for helpers that are at the first one."""
    monkeypatch.setattr("vla_data.fit.loop._launched", ["runs/codec"])
    with pytest.raises(ConfigError, match="runs/codec"):
        fit(torch.nn.Linear(1, 1), lambda number: {}, FitConfig(devices=2), tmp_path, no_progress)
    assert not any(tmp_path.iterdir())


def test_a_helper_trains_nothing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ConfigError, match="helps to train"):
        fit(torch.nn.Linear(1, 1), lambda number: {}, FitConfig(), tmp_path, no_progress)
    assert not any(tmp_path.iterdir())


def test_a_helper_passes_stages_that_are_done_and_leaves_run_directories_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []

    def stage(name: str) -> Stage:
        def work() -> tuple[dict, list]:
            worked.append(name)
            return {}, []

        return Stage(name, tmp_path / name, {}, (), work)

    run_stage(stage("first"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run_stage(stage("first")).skipped
    with pytest.raises(SystemExit):
        run_stage(stage("second"))
    assert worked == ["first", "second"]
    assert not (tmp_path / "second").exists()
