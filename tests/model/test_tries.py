"""Policies tried while they are trained: the best is kept, nothing is driven twice."""

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from vla_data.errors import ConfigError
from vla_data.files import read_json
from vla_data.fit import FitConfig, save_weights
from vla_data.sim import CameraView
from vla_model import finetune, load_policy
from vla_model.checkpoint import WEIGHTS
from vla_model.finetuning import FinetuneConfig
from vla_model.policies.compact import CompactConfig
from vla_model.tries import FOLDER, Tries, TryConfig


def save(module: nn.Module, directory: Path) -> None:
    directory.mkdir(parents=True)
    save_weights(module, directory / WEIGHTS)


def tried(out: Path, rates: dict[float, float], driven: list[Path] | None = None) -> Tries:
    """Tries whose success follows from the module's one weight."""
    tries = Tries(TryConfig(every=1, tasks=("reach",)), out, save, 8)

    def drive(checkpoint: Path) -> float:
        from vla_data.fit import load_weights

        module = nn.Linear(1, 1, bias=False)
        load_weights(module, checkpoint / WEIGHTS)
        if driven is not None:
            driven.append(checkpoint)
        return rates[float(module.weight.detach())]

    tries._drive = drive  # type: ignore[method-assign]
    return tries


def module(weight: float) -> nn.Module:
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, weight)
    return made


def kept(path: Path) -> float:
    from vla_data.fit import load_weights

    made = nn.Linear(1, 1, bias=False)
    load_weights(made, path / WEIGHTS)
    return float(made.weight.detach())


@pytest.mark.parametrize(
    ("rates", "best"), [((0.2, 0.9, 0.5), 2.0), ((0.7, 0.1, 0.7), 3.0), ((0.0, 0.0, 0.0), 3.0)]
)
def test_the_best_is_kept_and_of_equals_the_latest(tmp_path: Path, rates: tuple[float, ...], best: float):
    tries = tried(tmp_path, dict(zip((1.0, 2.0, 3.0), rates, strict=True)))
    for weight, rate in zip((1.0, 2.0, 3.0), rates, strict=True):
        assert tries(module(weight)) == {"success": rate}
    assert tries.keep_best(tmp_path / "checkpoint") == max(rates)
    assert kept(tmp_path / "checkpoint") == best
    assert not (tmp_path / FOLDER).exists()


def test_what_was_driven_before_an_interruption_is_not_driven_again(tmp_path: Path):
    driven: list[Path] = []
    tried(tmp_path, {1.0: 0.4, 2.0: 0.3}, driven)(module(1.0))
    again = tried(tmp_path, {1.0: 0.0, 2.0: 0.3}, driven)
    assert again(module(1.0)) == {"success": 0.4}
    again(module(2.0))
    assert len(driven) == 2
    assert again.keep_best(tmp_path / "checkpoint") == 0.4
    assert kept(tmp_path / "checkpoint") == 1.0


def test_trying_without_tasks_is_refused():
    with pytest.raises(ConfigError, match="cannot be tried"):
        TryConfig(every=100)


def test_a_training_that_tries_ends_with_a_checkpoint_that_drives(tmp_path: Path):
    from vla_data import open_episodes
    from vla_data.sim.generate import GenerateConfig, generate

    cameras = (CameraView("corner4", "corner4", 32, 32),)
    made = generate(GenerateConfig(tasks=("reach",), episodes=1, cameras=cameras), tmp_path / "d", workers=1)
    fit = FitConfig(steps=4, batch_size=4, threads=1, log_every=2)
    config = FinetuneConfig(
        CompactConfig(head="continuous", channels=8, hidden_dim=16),
        fit,
        tries=TryConfig(2, tasks=("reach",), trials=1, max_steps=12),
    )
    out = tmp_path / "run"
    summary, _ = finetune(open_episodes(made["directory"]), config, None, out)
    assert 0 <= summary["success"] <= 1
    assert load_policy(out / "checkpoint").input_spec.action_horizon == 16
    assert not (out / FOLDER).exists()
    assert read_json(out / "checkpoint" / "config.json")["policy"] == "compact"
    assert replace(config, tries=TryConfig()).tries.every == 0
