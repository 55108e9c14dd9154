"""What runs inside Lightning's loop: the wrapped module, the moving average, the record, the resume state.

The order of the callbacks is part of exact resume: average, then record (which may validate), then the
resume state, so that a state saved at step k holds everything that happened up to and including k.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vla_data.fit.config import FitConfig
from vla_data.fit.errors import DivergedError
from vla_data.fit.loggers import MetricLogger
from vla_data.fit.optimizers import make_optimizer
from vla_data.fit.rng import isolated_rng, rng_state, seed_all, set_rng_state
from vla_data.protocols import OnProgress, Progress

Batches = Callable[[int], Mapping[str, Tensor]]
Validate = Callable[[nn.Module], dict[str, float]]
History = dict[str, list[tuple[int, float]]]


class TrainingModule(pl.LightningModule):
    """`module` as Lightning wants it: its `training_loss`, its optimiser and schedule."""

    def __init__(self, module: nn.Module, config: FitConfig) -> None:
        super().__init__()
        self.module = module
        self.config = config

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        return self.module.training_loss(batch)  # type: ignore[operator]

    def configure_optimizers(self) -> Any:
        config = self.config
        optimizer = make_optimizer(self.module, config)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: config.rate_at(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StepBatches:
    """`batches(number)` as an iterable that begins where training stands, `accumulate` a step, of each
    `devices` one for this process.

    The sampler has no state of its own: the step number is all there is to save. Its length spares
    Lightning from fetching ahead to find the end.
    """

    def __init__(
        self, batches: Batches, config: FitConfig, now: Callable[[], int], rank: Callable[[], int]
    ) -> None:
        self.batches, self.config, self.now, self.rank = batches, config, now, rank

    def __len__(self) -> int:
        return self.config.steps * self.config.accumulate

    def __iter__(self) -> Iterator[Mapping[str, Tensor]]:
        for number in range(self.now() * self.config.accumulate, len(self)):
            yield self.batches(number * self.config.devices + self.rank())


class PerStep(pl.Callback, ABC):
    """Calls `after_step` when the optimiser has stepped, with what that step's batches gave, averaged."""

    def __init__(self) -> None:
        self._seen = self._count = 0
        self._sums: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seen, self._count, self._sums = trainer.global_step, 0, {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._count += 1
        for name, value in outputs.items():
            self._sums[name] = self._sums[name] + value.detach() if name in self._sums else value.detach()
        if trainer.global_step > self._seen:
            # Lightning has divided losses by the number of batches already.
            means = {n: v if n == "loss" else v / self._count for n, v in self._sums.items()}
            self._seen, self._count, self._sums = trainer.global_step, 0, {}
            self.after_step(trainer, pl_module, means)

    @abstractmethod
    def after_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Mapping[str, Tensor]
    ) -> None: ...


class MovingAverage(PerStep):
    """Exponential moving average of the trained weights; buffers are left to the module.

    Lightning's own averaging also averages buffers or copies the whole module, and has no warm-up: here
    the decay is min(decay, (1 + t) / (10 + t)), t counting updates.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.decay = decay
        self.average: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        source = self.average or [p.detach().clone() for p in self.parameters]
        self.average = [a.to(p.device) for a, p in zip(source, self.parameters, strict=True)]

    @torch.no_grad()
    def after_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Mapping[str, Tensor]
    ) -> None:
        step = trainer.global_step
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(self.average, [p.data for p in self.parameters], step)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's weights and their average."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.average = state_dict["average"]


class Record(PerStep):
    """Watches the loss, validates, keeps the history and reports progress."""

    def __init__(
        self,
        config: FitConfig,
        on_progress: OnProgress,
        stage: str,
        validate: Validate | None = None,
        validate_every: int = 0,
        average: MovingAverage | None = None,
        loggers: Sequence[MetricLogger] = (),
    ) -> None:
        super().__init__()
        self.config, self.on_progress, self.stage = config, on_progress, stage
        self.validate, self.validate_every, self.average = validate, validate_every, average
        self.loggers = loggers
        self.history: History = {}
        self.seconds = 0.0
        self._since = time.monotonic()
        self._first_bad: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._since = time.monotonic()

    def after_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Mapping[str, Tensor]
    ) -> None:
        step, last = trainer.global_step, self.config.steps
        if trainer.world_size > 1:  # a loss that is not finite anywhere has to stop all of them
            outputs = {n: _mean(trainer, v) for n, v in outputs.items()}
        due = step % self.config.log_every == 0 or step == last
        self._watch(step, outputs["loss"].detach(), due or step % self.config.checkpoint_every == 0)
        if due:
            values = {k: float(v) for k, v in outputs.items()}
            values["learning_rate"] = self.config.learning_rate * self.config.rate_at(step - 1)
            self._keep(step, values)
        if self.validate is not None and (step == last or _divides(self.validate_every, step)):
            assert isinstance(pl_module, TrainingModule)
            if trainer.is_global_zero:
                self._keep(step, self._validated(pl_module.module))
            trainer.strategy.barrier()
        if due and trainer.is_global_zero:
            latest = {k: v[-1][1] for k, v in self.history.items()}
            self.on_progress(Progress(self.stage, step, last, metrics=latest))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds += time.monotonic() - self._since

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "seconds": self.seconds + time.monotonic() - self._since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.seconds = state_dict["history"], state_dict["seconds"]

    def _keep(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.history.setdefault(name, []).append((step, float(value)))
        for logger in self.loggers:
            logger.log(step, {name: float(value) for name, value in values.items()})

    def _watch(self, step: int, loss: Tensor, look: bool) -> None:
        """Remember the first bad step. On a GPU looking waits for it, so it is done only when due."""
        bad = ~torch.isfinite(loss)
        now = torch.where(bad, step, 0)
        seen = self._first_bad
        self._first_bad = now if seen is None else torch.where(seen > 0, seen, now)
        if (look or loss.device.type == "cpu") and int(self._first_bad):
            raise DivergedError.at(int(self._first_bad), "the loss is NaN or infinite")

    def _validated(self, module: nn.Module) -> dict[str, float]:
        assert self.validate is not None
        modes = [(m, m.training) for m in module.modules()]
        if self.average is not None:
            self.average.swap()
        module.eval()
        with torch.no_grad(), isolated_rng():
            values = self.validate(module)
        for part, mode in modes:
            part.training = mode
        if self.average is not None:
            self.average.swap()
        return values


class Resume(PerStep):
    """Saves a resume state every `checkpoint_every` steps and puts the random generators back."""

    def __init__(self, config: FitConfig, path: Path) -> None:
        super().__init__()
        self.config, self.path = config, path
        self.rng: dict[str, Any] | None = None
        self.step = 0  # of the last state saved
        self.taken_up_at: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.rng is None:
            seed_all(self.config.seed)
        else:
            set_rng_state(self.rng)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The state that is saved is that of one process: several begin each batch anew."""
        if trainer.world_size > 1:
            numbers = [self.config.seed, trainer.global_step, batch_idx, trainer.global_rank]
            seed_all(int(np.random.SeedSequence(numbers).generate_state(1)[0]))

    def after_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Mapping[str, Tensor]
    ) -> None:
        step = trainer.global_step
        if step % self.config.checkpoint_every:
            return
        bad = [n for n, p in pl_module.named_parameters() if not bool(torch.isfinite(p).all())]
        if bad:
            raise DivergedError.at(step, f"{bad[0].removeprefix('module.')} holds NaN or infinity")
        self.step = step
        trainer.save_checkpoint(self.path, weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": rng_state(), "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rng, self.taken_up_at = state_dict["rng"], state_dict["step"]


def _mean(trainer: pl.Trainer, value: Tensor) -> Tensor:
    """Over all processes."""
    return trainer.strategy.reduce(value.clone(), reduce_op="mean")  # type: ignore[return-value]


def _divides(every: int, step: int) -> bool:
    return every > 0 and step % every == 0
