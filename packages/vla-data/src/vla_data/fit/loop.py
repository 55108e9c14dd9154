"""`fit`: train a module for a number of steps, exactly resumable, quiet, on whatever device there is."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vla_data.config import config_hash
from vla_data.errors import ConfigError
from vla_data.files import remove_parts, write_bytes
from vla_data.fit.config import FitConfig
from vla_data.fit.hardware import knows_bfloat16, torch_threads
from vla_data.fit.loggers import make_logger
from vla_data.fit.rng import isolated_rng
from vla_data.pool import cpu_count, is_helper
from vla_data.protocols import OnProgress

if TYPE_CHECKING:
    import lightning.pytorch as pl

RESUME = Path(".resume") / "last.safetensors"
METRICS = "metrics.csv"
SIGTERM_EXIT = 128 + signal.SIGTERM


@dataclass(frozen=True)
class FitResult:
    """What training left behind, apart from the weights in the module itself.

    Args:
        history: metric → (step, value) pairs.
        seconds: wall time over all attempts, as far as their resume states tell.
        resumed_from: the step an earlier attempt was taken up at, None for a fresh start.
    """

    history: dict[str, list[tuple[int, float]]]
    seconds: float
    resumed_from: int | None


def fit(
    module: nn.Module,
    batches: Callable[[int], Mapping[str, Tensor]],
    config: FitConfig,
    directory: Path,
    on_progress: OnProgress,
    *,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    validate_every: int = 0,
    stage: str = "fit",
) -> FitResult:
    """Train `module` in place; interrupted at any moment, the same call goes on to the same weights.

    Args:
        module: offers `training_loss(batch) -> {"loss": scalar, …}`; the other entries are recorded.
        batches: a pure function of a batch's number, which is therefore all the sampler's state.
        config: see `FitConfig`.
        directory: holds `.resume/` while unfinished, `metrics.csv` when done.
        on_progress: called every `log_every` steps with the latest metrics.
        validate: gives metrics of the module in evaluation mode, with averaged weights where an average
            is kept; called every `validate_every` steps and at the end.
        stage: name in progress reports.

    At the end the module is on the CPU, holding the averaged weights where an average is kept.

    Raises:
        DivergedError: loss or weights became NaN or infinite; the last good resume state is kept.
        CheckpointError: `directory` holds a damaged resume state, or one of another config or module.
        SystemExit: in a process that only helped to train on several devices, when that is done.
        ConfigError: a CUDA device was asked for and there is none, or several devices for a second time.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device", where="device", got="cuda", next_step="use device=auto")
    _require_one_launch(config)
    with _environment(config), isolated_rng():
        from vla_data.fit import training

        average = training.MovingAverage(module, config.ema_decay) if config.ema_decay is not None else None
        loggers = [make_logger(name, directory, asdict(config)) for name in config.loggers]
        record = training.Record(config, on_progress, stage, validate, validate_every, average, loggers)
        resume = training.Resume(config, directory / RESUME)
        callbacks = [record, resume] if average is None else [average, record, resume]
        if config.devices > 1:
            _launched.append(str(directory))
        try:
            _train(module, batches, config, resume.path, callbacks)
        finally:
            for logger in loggers:
                logger.close()
        if is_helper():
            raise SystemExit(0)
        if average is not None:
            average.swap()
    write_bytes(directory / METRICS, _as_csv(record.history))
    shutil.rmtree((directory / RESUME).parent, ignore_errors=True)
    return FitResult(record.history, round(record.seconds, 3), resume.taken_up_at)


_launched: list[str] = []  # directories of trainings on several devices, of which a process does one


def _require_one_launch(config: FitConfig) -> None:
    """Helpers run the whole command again: they can meet at its one training on several devices, not two."""
    if is_helper() and config.devices == 1:
        raise ConfigError(
            "a process that helps to train came to a training on one device",
            where="devices",
            expected="one training a command, on several devices",
        )
    if config.devices > 1 and _launched:
        raise ConfigError(
            "a command can train once on several devices",
            where="devices",
            got=f"a second training; the first was {_launched[0]}",
            next_step="run the same command again: it goes on after the stages that are done",
        )


def _train(
    module: nn.Module,
    batches: Callable[[int], Mapping[str, Tensor]],
    config: FitConfig,
    path: Path,
    callbacks: list[pl.Callback],
) -> None:
    """Run Lightning's loop, from the resume state at `path` if there is one."""
    from vla_data.fit.training import StepBatches, TrainingModule

    remove_parts(path.parent)
    trainer = _trainer(module, config, callbacks)
    data = StepBatches(batches, config, lambda: trainer.global_step, lambda: trainer.global_rank)
    try:
        trainer.fit(TrainingModule(module, config), data, ckpt_path=str(path) if path.exists() else None)
    except SystemExit as stopped:
        # Lightning turns an interrupt into exit status 1 and SIGTERM into status 0; both must be told apart
        # from success and failure by whoever started the process.
        if isinstance(stopped.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise SystemExit(SIGTERM_EXIT) from None


def _trainer(module: nn.Module, config: FitConfig, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The one place that knows how Lightning is set up; strategies for many devices belong here."""
    import lightning.pytorch as pl

    from vla_data.fit.state import SafetensorsIO

    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if knows_bfloat16(config.device) else "32-true"
    shapes = {name: list(t.shape) for name, t in module.state_dict().items()}
    identity = {"configuration": config_hash(config), "module": config_hash(shapes)}
    return pl.Trainer(
        max_steps=config.steps,
        max_epochs=-1,
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[config.device],
        devices=config.devices,
        strategy=_strategy(config),
        precision=precision,
        gradient_clip_val=config.gradient_clip,
        accumulate_grad_batches=config.accumulate,
        callbacks=callbacks,
        plugins=[SafetensorsIO(identity)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _strategy(config: FitConfig) -> Any:
    if config.devices == 1:
        return "auto"
    from lightning.pytorch.strategies import DDPStrategy

    # Others wait while the first process tries a policy in a simulator. Not every loss uses every weight.
    return DDPStrategy(timeout=timedelta(hours=12), find_unused_parameters=True)


@contextmanager
def _environment(config: FitConfig) -> Iterator[None]:
    """Threads, determinism and quiet inside; all as it was outside."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    main = threading.current_thread() is threading.main_thread()
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch_threads(config.threads or max(1, cpu_count() // config.devices)), _quiet():
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's banners and advice are held back; its errors are not."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning(\.|$)")
        import lightning.pytorch  # noqa: F401  (it sets its loggers' levels when first imported)

        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _as_csv(history: Mapping[str, list[tuple[int, float]]]) -> bytes:
    """One row a step that anything was recorded at, one column a metric."""
    rows: dict[int, dict[str, float]] = {}
    for name, pairs in history.items():
        for step, value in pairs:
            rows.setdefault(step, {})[name] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, ["step", *history], lineterminator="\n")
    writer.writeheader()
    for step in sorted(rows):
        writer.writerow({"step": step} | rows[step])
    return text.getvalue().encode()
