"""Training windows out of clips in memory: a pure function of the step number, so that training resumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from vla_vision.encoder.clips import Clip
from vla_vision.encoder.train_config import TrainEncoderConfig
from vla_vision.encoder.truth import ClassTruth

DENSE = ("rgb", "depth", "flow", "flow_known")
NEXT, TRUTH = "next.", "truth."
SLACK = 1e-6  # seconds; times are sums of steps


@dataclass(frozen=True, eq=False)
class WindowTable:
    """All frames of some clips, one after the other.

    Args:
        arrays: by the names of `FrameFeatures.arrays`, [M, …]; `truth.…` where every clip has it.
        start: first frame of the clip that each frame belongs to.
        later: the frame `ahead` seconds on, or the last of the clip; the frame itself where it is the last.
        gap: seconds to it.
    """

    arrays: dict[str, np.ndarray]
    start: Int64[np.ndarray, "m"]
    later: Int64[np.ndarray, "m"]
    gap: Float64[np.ndarray, "m"]

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def of(cls, clips: Sequence[Clip], ahead: float) -> WindowTable:
        """The frames of clips of one size."""
        parts = [clip.features.arrays() for clip in clips]
        if all(clip.truth is not None for clip in clips):
            parts = [a | _truth(clip.truth) for a, clip in zip(parts, clips, strict=True)]
        arrays = {name: np.concatenate([a[name] for a in parts]) for name in parts[0]}
        starts, later, offset = [], [], 0
        for clip in clips:
            time = clip.features.time
            index = np.searchsorted(time, time + ahead - SLACK).clip(max=len(time) - 1)
            starts.append(np.full(len(time), offset))
            later.append(index + offset)
            offset += len(time)
        start, after = (np.concatenate(x).astype(np.int64) for x in (starts, later))
        return cls(arrays, start, after, arrays["time"][after] - arrays["time"])

    @property
    def labelled(self) -> bool:
        """Whether every frame has the truth about its classes."""
        return f"{TRUTH}visible" in self.arrays

    def history(self, rows: np.ndarray, count: int) -> Int64[np.ndarray, "b k"]:
        """The `count` frames that end with each of `rows`; before the first one of a clip, that one again."""
        back = rows[:, None] - np.arange(count - 1, -1, -1)
        return np.maximum(back, self.start[rows][:, None])

    def windows(self, rows: np.ndarray, count: int) -> dict[str, np.ndarray]:
        """What the encoder takes, [B, K, …]; `next.…` of the later frame, `gap` and `truth.…`, [B, …]."""
        frames, after = self.history(rows, count), self.later[rows]
        found = {name: a[frames] for name, a in self.arrays.items() if not name.startswith(TRUTH)}
        found |= {NEXT + name: self.arrays[name][after] for name in DENSE}
        found |= {name: a[rows] for name, a in self.arrays.items() if name.startswith(TRUTH)}
        return found | {"gap": self.gap[rows].astype(np.float32)}


class WindowBatches:
    """Batches of windows for training, with some made harder: see `TrainEncoderConfig`."""

    def __init__(self, table: WindowTable, config: TrainEncoderConfig) -> None:
        self.table, self.config = table, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        config = self.config
        rng = np.random.default_rng((config.fit.seed, step))
        rows = rng.integers(0, len(self.table), config.fit.batch_size)
        batch = self.table.windows(rows, config.encoder.history)
        _tint(batch, config.colour, rng)
        batch["objects.slots"] = _reslot(batch["objects.slots"], rng)
        batch |= {f"now.{name}": batch[name][:, -1] for name in DENSE}
        for name in ("depth", "flow_known"):  # seen without; still to be made
            gone = rng.random(len(rows)) < config.drop
            batch[name] = np.where(gone.reshape(-1, *[1] * (batch[name].ndim - 1)), 0, batch[name]).astype(
                batch[name].dtype
            )
        chance, which = rng.random(len(rows)), rng.integers(1, 3, len(rows))
        batch["hidden"] = np.where(chance < config.hide, which, 0)
        return {name: torch.from_numpy(a) for name, a in batch.items()}


def plain_batch(table: WindowTable, rows: np.ndarray, history: int) -> dict[str, Tensor]:
    """Windows as they are, for measuring."""
    batch = table.windows(rows, history)
    batch |= {f"now.{name}": batch[name][:, -1] for name in DENSE}
    return {name: torch.from_numpy(a) for name, a in batch.items()}


def _truth(truth: ClassTruth | None) -> dict[str, np.ndarray]:
    assert truth is not None
    return {TRUTH + f.name: getattr(truth, f.name) for f in fields(truth)}


def _tint(batch: dict[str, np.ndarray], colour: float, rng: np.random.Generator) -> None:
    """Another light on all pictures of a sample."""
    if not colour:
        return
    count = len(batch["rgb"])
    gain = np.exp(rng.normal(0, colour, (count, 1, 3)) * 0.5 + rng.normal(0, colour, (count, 1, 1)))
    for name in ("rgb", NEXT + "rgb"):
        shape = (count, *[1] * (batch[name].ndim - 2), 3)
        batch[name] = (batch[name] * gain.reshape(shape)).clip(0, 255).astype(np.uint8)


def _reslot(slots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Identities renamed, another way for each sample: else only the first few would be learnt."""
    renamed = np.stack([rng.permutation(slots.shape[-1]) for _ in range(len(slots))])
    return np.take_along_axis(np.repeat(renamed[:, None], slots.shape[1], 1), slots, axis=2)
