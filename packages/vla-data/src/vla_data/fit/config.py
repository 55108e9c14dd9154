"""How a module is trained. Plain values only: no torch is imported here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vla_data.errors import ConfigError


@dataclass(frozen=True)
class FitConfig:
    """The training loop's settings.

    Args:
        steps: optimiser steps in all.
        batch_size: what `batches(number)` should deliver; the loop itself only passes it on.
        accumulate: batches whose gradients are averaged into one step; step s takes those numbered from
            s × accumulate on.
        devices: processes that each take every so many-th batch and average their gradients (Lightning's
            DDP, one GPU each, or the CPU): two are as good as `accumulate` of two, and sooner done. A command
            can train once like this.
        optimizer: "adamw", or "muon" for modules that say which of their matrices it is for.
        learning_rate: peak of the schedule.
        weight_decay: decoupled (AdamW), on parameters of two or more axes; gains and biases have none.
        betas: of AdamW.
        warmup_steps: linear rise from zero.
        schedule: after the rise, a cosine fall to zero at `steps`, or constant.
        gradient_clip: largest global gradient norm; None leaves gradients as they are.
        ema_decay: keep an exponential moving average of the weights and end with it; None keeps none.
            Early on the decay is min(ema_decay, (1 + t) / (10 + t)), so that short runs are not held back.
        seed: of torch, numpy and python inside the loop.
        precision: "bf16-mixed" computes in bfloat16 where that is safe; "auto" does where the device has
            instructions for it, and results then depend on the machine.
        device: "auto" takes a CUDA device if there is one.
        threads: torch's CPU threads; None takes all cores this process may use. Results are
            bit-equal only between runs with the same number. One is the default because the networks
            trained on a CPU here are small: on a busy machine a second thread mostly spins (measured on
            the compact policy with both cores taken: 56 CPU-ms a step with one thread, 330 with two).
        checkpoint_every: steps between resume states.
        log_every: steps between recorded metrics and progress reports.
        loggers: where metrics go beside metrics.csv, see `vla_data.fit.loggers`.

    Raises:
        ConfigError: a value is out of range.
    """

    steps: int = 2000
    batch_size: int = 64
    accumulate: int = 1
    devices: int = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = 50
    schedule: Literal["cosine", "constant"] = "cosine"
    gradient_clip: float | None = 1.0
    ema_decay: float | None = None
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "auto"] = "32-true"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = 1
    checkpoint_every: int = 500
    log_every: int = 20
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()

    def __post_init__(self) -> None:
        at_least = {
            "steps": 1,
            "batch_size": 1,
            "accumulate": 1,
            "devices": 1,
            "checkpoint_every": 1,
            "log_every": 1,
        }
        at_least |= {"warmup_steps": 0, "weight_decay": 0.0, "seed": 0}
        for name, low in at_least.items():
            _require(name, getattr(self, name), getattr(self, name) >= low, f"at least {low}")
        _require("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a positive number")
        _require("betas", self.betas, all(0 <= b < 1 for b in self.betas), "two numbers in [0, 1)")
        clip, decay, threads = self.gradient_clip, self.ema_decay, self.threads
        _require("gradient_clip", clip, clip is None or clip > 0, "a positive number or null")
        _require("ema_decay", decay, decay is None or 0 <= decay < 1, "a number in [0, 1) or null")
        _require("threads", threads, threads is None or threads >= 1, "at least 1, or null")

    def rate_at(self, step: int) -> float:
        """The learning rate of step `step`, as a fraction of its peak."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        if self.schedule == "constant":
            return 1.0
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _require(name: str, value: object, ok: bool, expected: str) -> None:
    if not ok:
        raise ConfigError(
            "a training setting is out of range", where=name, expected=expected, got=repr(value)
        )
