"""What the encoder gives: tokens, which of them count, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vla_vision.encoder.features import FrameFeatures

NO_SLOT = NO_KIND = -1
Batch = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of B windows: those of objects first, then those of patches.

    Args:
        values: [B, n, width]; zeros where the mask is false.
        mask: true where a token stands for something; patch tokens always do.
        slots: identity: tokens of one slot in two frames of a video are the same object; -1 for patches.
        kinds: index of the class of what each stands for; -1 for patches and for nothing.
    """

    values: Float[Tensor, "b n width"]
    mask: Bool[Tensor, "b n"]
    slots: Int64[Tensor, "b n"]
    kinds: Int64[Tensor, "b n"]

    def first(self, count: int) -> Tokens:
        """The first tokens of each window."""
        return Tokens(*(getattr(self, f.name)[:, :count] for f in fields(self)))


def join(parts: list[Tokens]) -> Tokens:
    """Tokens of the same windows side by side."""
    names = ("values", "mask", "slots", "kinds")
    values, mask, slots, kinds = (torch.cat([getattr(p, n) for p in parts], dim=1) for n in names)
    return Tokens(values, mask, slots, kinds)


def to_batch(features: FrameFeatures, device: str = "cpu") -> dict[str, Tensor]:
    """Features [B, K, …] as the tensors that the encoder takes, by the names of `FrameFeatures.arrays`."""
    return {name: torch.from_numpy(array).to(device) for name, array in features.arrays().items()}
