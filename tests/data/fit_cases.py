"""A module whose training draws on everything a resume state has to bring back, and its data."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vla_data.fit import FitConfig, fit, save_weights
from vla_data.protocols import OnProgress, Progress

STEPS = 14
CONFIG = FitConfig(
    steps=STEPS,
    batch_size=8,
    warmup_steps=3,
    ema_decay=0.9,
    seed=5,
    device="cpu",
    threads=1,
    checkpoint_every=3,
    log_every=1,
)


class Capricious(nn.Module):
    """Dropout (torch's generator), noise from numpy's and python's, running statistics, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.into = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(6, 6, bias=False)
        self.out.weight = self.into.weight

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        noise = 0.1 * np.random.normal() + 0.1 * random.random()
        answer = self.out(self.drop(torch.tanh(self.norm(self.into(batch["x"]))))) + noise
        loss = (answer - batch["y"]).square().mean()
        return {"loss": loss, "noise": torch.tensor(noise)}


def batches(step: int) -> dict[str, Tensor]:
    x = torch.from_numpy(np.random.default_rng(step).normal(size=(8, 6)).astype(np.float32))
    return {"x": x, "y": x.flip(-1)}


def validate(module: nn.Module) -> dict[str, float]:
    """Draws from a generator too: that must not change the training."""
    assert isinstance(module, Capricious)
    assert not module.norm.training
    return {"validation": float(module.training_loss(batches(10_000))["loss"])}


class StopHereError(Exception):
    """What the tests raise to interrupt training."""


def stop_at(step: int) -> OnProgress:
    def on_progress(progress: Progress) -> None:
        if progress.done >= step:
            raise StopHereError

    return on_progress


def train(directory: Path, on_progress: OnProgress, weights: Path, config: FitConfig = CONFIG) -> None:
    """The whole training, ending in a file of weights."""
    module = Capricious()
    fit(module, batches, config, directory, on_progress, validate=validate, validate_every=4)
    save_weights(module, weights)
