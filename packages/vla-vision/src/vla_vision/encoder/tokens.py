"""What the encoder gives: tokens, which of them count, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vla_vision.encoder.features import FrameFeatures

NO_SLOT = -1
Batch = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of B windows: those of objects first, then those of patches.

    Args:
        values: [B, n, width]; zeros where the mask is false.
        mask: true where a token stands for something; patch tokens always do.
        slots: identity: tokens of one slot in two frames of a video are the same object; -1 for patches.
    """

    values: Float[Tensor, "b n width"]
    mask: Bool[Tensor, "b n"]
    slots: Int64[Tensor, "b n"]


def join(parts: list[Tokens]) -> Tokens:
    """Tokens of the same windows side by side."""
    values, mask, slots = (
        torch.cat([getattr(p, n) for p in parts], dim=1) for n in ("values", "mask", "slots")
    )
    return Tokens(values, mask, slots)


def to_batch(features: FrameFeatures, device: str = "cpu") -> dict[str, Tensor]:
    """Features [B, K, …] as the tensors that the encoder takes, by the names of `FrameFeatures.arrays`."""
    return {name: torch.from_numpy(array).to(device) for name, array in features.arrays().items()}
