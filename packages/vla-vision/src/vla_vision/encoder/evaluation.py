"""How much of the pictures tokens hold, on held-out episodes, beside what needs no encoder at all.

The baseline knows the camera it is measured on: the mean colour and depth of each pixel over training
episodes, and no flow. Where nothing moves it is hard to beat; what counts is where something does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vla_vision.encoder.clips import Clip
from vla_vision.encoder.inputs import FLOW_SCALE
from vla_vision.encoder.reconstruction import TIMES, moves, targets
from vla_vision.encoder.windows import WindowTable, plain_batch

if TYPE_CHECKING:
    from vla_vision.encoder.training import EncoderTraining

MEASURED = 600  # windows of all clips
TOGETHER = 32
KINDS = ("colour", "depth", "flow")
PARTS = {"colour": slice(0, 3), "depth": slice(3, 4), "flow": slice(4, 6)}


@dataclass(frozen=True)
class PictureScore:
    """Mean errors of one kind, at one time, over all pixels or those that move.

    Args:
        kind: "colour" in levels of 255; "depth" as a share of itself; "flow" in frame widths a second.
        time: "now" or "next".
        pixels: "all" or "moving".
        encoder, baseline: mean absolute errors.
    """

    kind: str
    time: str
    pixels: str
    encoder: float
    baseline: float


def evaluate(training: EncoderTraining, learnt: Sequence[Clip], held: Sequence[Clip]) -> list[PictureScore]:
    """Errors on held-out clips; kinds that no frame has are left out."""
    sums: dict[tuple[str, str, str], np.ndarray] = {}
    typical = typical_pictures(learnt)
    for clip, batch, made in remade(training, held):
        wanted, known = targets(batch)
        base = torch.from_numpy(typical.get(clip.info.camera, typical[""])).expand_as(made)
        moving = moves(batch)[:, :, None]
        for t, time in enumerate(TIMES):
            for pixels, weight in (("all", torch.ones_like(moving)), ("moving", moving)):
                share = (known * weight)[:, t]
                for kind, part in PARTS.items():
                    pair = [_error(kind, m[:, t, part], wanted[:, t, part]) for m in (made, base)]
                    totals = [float((e * share[:, part]).sum()) for e in pair]
                    row = np.array([*totals, float(share[:, part].sum())])
                    sums[kind, time, pixels] = sums.get((kind, time, pixels), 0) + row
    return [PictureScore(*key, *(s[:2] / s[2]).tolist()) for key, s in sums.items() if s[2] > 0]


def remade(
    training: EncoderTraining, clips: Sequence[Clip], measured: int = MEASURED
) -> Iterator[tuple[Clip, dict[str, Tensor], Tensor]]:
    """Windows evenly from every clip, and the pictures made from their tokens."""
    config = training.config
    share = max(1, measured // max(1, len(clips)))
    for clip in clips:
        table = WindowTable.of([clip], config.ahead)
        rows = np.unique(np.linspace(0, len(table) - 1, share).round().astype(np.int64))
        for start in range(0, len(rows), TOGETHER):
            batch = plain_batch(table, rows[start : start + TOGETHER], config.encoder.history)
            with torch.inference_mode():
                made = training.make(training.encoder(batch), batch).float()
            yield clip, batch, made


def typical_pictures(clips: Sequence[Clip]) -> dict[str, np.ndarray]:
    """Camera → mean of its pictures as `targets` has them, [6, H, W]; "" → of all cameras."""
    found: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        f = clip.features
        depth = f.depth.astype(np.float32)
        log = np.log(np.where(depth > 0, depth, np.nan))
        with np.errstate(invalid="ignore"):
            mean = np.where((depth > 0).any(0), np.nanmean(np.where((depth > 0).any(0), log, 0), axis=0), 0)
        rgb = (f.rgb.astype(np.float32) / 127.5 - 1).mean(0).transpose(2, 0, 1)
        picture = np.concatenate([rgb, mean[None], np.zeros((2, *mean.shape))]).astype(np.float32)
        for name in (clip.info.camera, ""):
            found.setdefault(name, []).append(picture)
    return {name: np.mean(pictures, axis=0).astype(np.float32) for name, pictures in found.items()}


def _error(kind: str, made: Tensor, wanted: Tensor) -> Tensor:
    """In the unit of `PictureScore`."""
    if kind == "colour":
        return 127.5 * (made.clamp(-1, 1) - wanted).abs()
    if kind == "depth":
        return torch.expm1((made - wanted).clamp(-5, 5)).abs()
    return (torch.sinh(made.clamp(-8, 8)) - torch.sinh(wanted)).abs() / FLOW_SCALE
