"""Training metrics to other people's dashboards, by name, beside `metrics.csv`, which is always written.

None of them is a dependency; each is imported when it is asked for. Nothing is sent anywhere unless the
dashboard's own environment variables say so: W&B runs offline unless WANDB_MODE says otherwise, MLflow writes
files unless MLFLOW_TRACKING_URI names a server. TensorBoard files are written by tensorboardX: torch's own
writer imports TensorFlow where that is installed, which takes MuJoCo's renderer down with it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vla_data.errors import MissingDependencyError
from vla_data.registry import lookup


@runtime_checkable
class MetricLogger(Protocol):
    """Where metrics go."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class _TensorBoard:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self._writer = _package("tensorboardX").SummaryWriter(str(directory / "tensorboard"))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        mode = os.environ.get("WANDB_MODE", "offline")
        self._run = _package("wandb").init(
            project=os.environ.get("WANDB_PROJECT", "vla"),
            name=directory.name,
            dir=str(directory),
            config=dict(settings),
            mode=mode,
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self._mlflow = _package("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            self._mlflow.set_tracking_uri((directory / "mlruns").absolute().as_uri())
        self._mlflow.start_run(run_name=directory.name)
        self._mlflow.log_params(dict(settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


LOGGERS: dict[str, Callable[[Path, Mapping[str, Any]], MetricLogger]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WandB,
    "mlflow": _MLflow,
}


def make_logger(name: str, directory: Path, settings: Mapping[str, Any]) -> MetricLogger:
    """A logger of a run in `directory`.

    Raises:
        UnknownNameError: there is none of that name.
        MissingDependencyError: its package is not installed.
    """
    return lookup("logger", LOGGERS, name)(directory, settings)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            "a logger's package is not installed",
            where="fit.loggers",
            expected=name,
            got=str(error),
            next_step=f"pip install {name}; metrics.csv is written without it",
        ) from error
