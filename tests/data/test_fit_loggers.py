"""Loggers by name, with stand-ins for the packages, none of which is needed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.data.fit_cases import CONFIG, STEPS, Capricious, batches, validate

from vla_data.config import from_dict
from vla_data.errors import ConfigError, MissingDependencyError
from vla_data.fit import FitConfig, fit
from vla_data.protocols import no_progress

Said = list[tuple[str, Any]]


def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Said:
    said: Said = []

    def tell(name: str):
        return lambda *args, **kwargs: said.append((name, (args, kwargs)))

    writer = SimpleNamespace(add_scalar=tell("scalar"), close=tell("closed"))
    run = SimpleNamespace(log=tell("log"), finish=tell("finished"))

    def init(**settings: Any) -> SimpleNamespace:
        said.append(("init", settings))
        return run

    names = ("set_tracking_uri", "start_run", "log_params", "log_metrics", "end_run")
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=lambda path: writer))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(**{name: tell(name) for name in names}))
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return said


def test_each_is_told_every_metric_and_closed_and_nothing_leaves_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    said = stand_ins(monkeypatch)
    config = replace(CONFIG, loggers=("tensorboard", "wandb", "mlflow"))
    result = fit(Capricious(), batches, config, tmp_path, no_progress, validate=validate, validate_every=4)
    scalars = [told[0] for name, told in said if name == "scalar"]
    assert [(s, v) for n, v, s in scalars if n == "loss"] == result.history["loss"]
    assert sum(name == "log" for name, _ in said) == STEPS + 4
    assert sum(name == "log_metrics" for name, _ in said) == STEPS + 4
    assert [name for name, _ in said[-3:]] == ["closed", "finished", "end_run"]
    assert next(s for n, s in said if n == "init")["mode"] == "offline"
    (place,), _ = next(told for name, told in said if name == "set_tracking_uri")
    assert place.startswith("file:")


def test_a_package_that_is_missing_and_a_name_nobody_has_are_told(tmp_path: Path):
    with pytest.raises(MissingDependencyError, match="not installed") as error:
        fit(Capricious(), batches, replace(CONFIG, loggers=("wandb",)), tmp_path, no_progress)
    assert "pip install wandb" in str(error.value)
    with pytest.raises(ConfigError, match="value"):
        from_dict(FitConfig, {"loggers": ["wandbb"]})
