"""An instruction as one vector: the mean of the vectors of its known words."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vla_model.words import PAD


def said(words: nn.Embedding, text: Int64[Tensor, "b l"]) -> Float[Tensor, "b w"]:
    """The mean over words; zero where there is none."""
    mask_BL1 = (text != PAD).unsqueeze(-1).to(words.weight.dtype)
    return (words(text) * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)


def dropped(text: Int64[Tensor, "b l"], chance: float) -> Int64[Tensor, "b l"]:
    """The text with each word left out by chance."""
    return text * (torch.rand(text.shape, device=text.device) >= chance) if chance else text
