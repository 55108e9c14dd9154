"""What a depth network is trained on: errors of log depth where depth is known.

Scale-invariant log loss (Eigen et al. 2014, arXiv:1406.2283) with part of the scale kept, and differences of
log depth between neighbours at several scales (MiDaS, Ranftl et al. 2019, arXiv:1907.01341).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SCALES = 3
TINY = 1e-6


def scale_invariant_loss(
    error: Float[Tensor, "b h w"], valid: Bool[Tensor, "b h w"], invariance: float = 0.5
) -> Float[Tensor, ""]:
    """√(mean e² − invariance · (mean e)²) of each picture's valid pixels, averaged over pictures.

    Args:
        error: log prediction − log truth; anything at all where not valid.
        invariance: 1 forgives a wrong scale of the whole picture, 0 does not.
    """
    zeroed = torch.where(valid, error, 0.0)
    count = valid.flatten(1).sum(1)
    mean = zeroed.flatten(1).sum(1) / count.clamp(min=1)
    square = zeroed.square().flatten(1).sum(1) / count.clamp(min=1)
    # Rounding may leave a variance just below zero, and the root has no slope at zero.
    each = (square - invariance * mean.square()).clamp(min=0).add(TINY).sqrt()
    return _mean_of(each, count > 0)


def gradient_loss(error: Float[Tensor, "b h w"], valid: Bool[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Mean |difference of `error` between valid neighbours|, at full, half and quarter resolution."""
    total = error.new_zeros(())
    zeroed = torch.where(valid, error, 0.0)
    for scale in range(SCALES):
        e, v = zeroed[:, :: 2**scale, :: 2**scale], valid[:, :: 2**scale, :: 2**scale]
        down, right = v[:, 1:] & v[:, :-1], v[:, :, 1:] & v[:, :, :-1]
        total = total + _mean_of((e[:, 1:] - e[:, :-1]).abs(), down)
        total = total + _mean_of((e[:, :, 1:] - e[:, :, :-1]).abs(), right)
    return total / SCALES


def _mean_of(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)
