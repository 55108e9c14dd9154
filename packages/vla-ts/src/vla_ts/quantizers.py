"""Quantisers in training: latents in, what each level says of them out (`vector-quantize-pytorch` inside).

- `ResidualQuantizer`: learnt codebooks (VQ, residual VQ; Zeghidour et al. 2021, arXiv:2107.03312), moving
  averages that start as k-means centres; codes that are hardly used are replaced by latents of the batch
- `GridQuantizer`: nothing learnt but a scale for each axis: a grid over principal axes of the latents (FSQ,
  Mentzer et al. 2023, arXiv:2309.15505), or their signs (LFQ, Yu et al. 2023, arXiv:2310.05737). Every
  level takes the axes with the most variance left, and as many points on each as pay most

Both end as codebooks [levels, codebook_size, latent] for `ChunkNetwork`. Levels are ordered: each says what
the ones before it left over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_ts.fit import FitVqvaeConfig
from vla_ts.networks import NetworkShape
from vla_ts.transforms import dct_matrix

DEAD_SHARE = 0.1  # a code used less than this share of the average is replaced
CODES_PER_BATCH = 4  # uses of a code a batch from which on `decay` is as it was given

# Of n equally spaced points with the least squared error for a normal variable (Max 1960, "Quantizing for
# minimum distortion", table II): the outermost point, and the error. Beyond 16 points finer cells pay little.
POINTS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16])
REACH = np.array([0.0, 0.798, 1.224, 1.494, 1.686, 1.832, 1.948, 2.051, 2.208, 2.324, 2.424, 2.513])
ERROR = np.array(
    [1.0, 0.3634, 0.1902, 0.1188, 0.0822, 0.0607, 0.0469, 0.0374, 0.0257, 0.0188, 0.0144, 0.0115]
)


class Quantized(NamedTuple):
    """Latents after quantisation: what each level says, [L, B, D], and the commitment loss."""

    parts: Tensor
    commitment: Tensor


class ResidualQuantizer(nn.Module):
    """Learnt codebooks, one a level.

    Args:
        size: width of a latent.
        levels, codebook_size: codebooks and codes in each.
        batch_size: latents a step, which says how often a healthy code is used.
        decay: of the moving averages; slower where codes are used less than `CODES_PER_BATCH` times a batch,
            so that each averages over as many latents.
    """

    def __init__(self, size: int, levels: int, codebook_size: int, batch_size: int, decay: float) -> None:
        from vector_quantize_pytorch import ResidualVQ

        super().__init__()
        uses = batch_size / codebook_size
        self.layers = ResidualVQ(
            dim=size,
            num_quantizers=levels,
            codebook_size=codebook_size,
            kmeans_init=True,
            decay=1 - (1 - decay) * min(1.0, uses / CODES_PER_BATCH),
            commitment_weight=1.0,
            # In units of codes a batch: with the library's fixed 2, a batch twice the codebook keeps
            # replacing codes that are in healthy use.
            threshold_ema_dead_code=DEAD_SHARE * uses,
        )

    def forward(self, z_BD: Tensor) -> Quantized:
        _, _, commitment, codes_LBD = self.layers(z_BD, return_all_codes=True)
        return Quantized(codes_LBD, commitment.sum())

    def codebooks(self) -> Tensor:
        """What the codes stand for, [levels, codebook_size, latent]."""
        books = self.layers.codebooks
        assert isinstance(books, Tensor)
        return books


class GridQuantizer(nn.Module):
    """A grid over some axes of what is left, level by level.

    Args:
        latents: [N, D] that say where the axes lie and how far values spread along them.
        shape: sizes of the network: levels are grids, one after the other, of `codebook_size` points at most.
        signs: two points an axis, `codebook_size` = 2^axes (LFQ); else as many as pay (FSQ).

    Raises:
        ConfigError: with `signs`, a codebook that is no power of two, or has more bits than there are axes.
    """

    centre: Tensor
    axes: Tensor

    def __init__(self, latents: Tensor, shape: NetworkShape, signs: bool) -> None:
        from vector_quantize_pytorch import FSQ, LFQ

        super().__init__()
        levels, codebook_size = shape.levels, shape.codebook_size
        bits = codebook_size.bit_length() - 1
        if signs and not (2**bits == codebook_size and bits <= latents.shape[1]):
            raise ConfigError(
                "a quantiser of signs needs a power of two of codes, and an axis for every bit",
                where="codebook_size",
                expected=f"2, 4, 8 … {2 ** min(latents.shape[1], 20)}",
                got=str(codebook_size),
            )
        self.codebook_size = codebook_size
        variances, axes = _principal_axes(latents, shape.action_horizon)
        self.register_buffer("centre", latents.mean(0))
        self.register_buffer("axes", axes)
        self.grids, self.scales, self.chosen = nn.ModuleList(), nn.ParameterList(), []
        for _ in range(levels):
            counts = _signs(variances, bits) if signs else allocate(variances, codebook_size)
            chosen = np.nonzero(counts > 1)[0]
            points = counts[chosen]
            reach = np.interp(points, POINTS, REACH) * np.sqrt(variances[chosen])
            grid = LFQ(codebook_size=codebook_size) if signs else _fsq(FSQ, points)
            self.grids.append(grid)
            self.chosen.append(torch.from_numpy(chosen))
            self.scales.append(nn.Parameter(torch.from_numpy(np.log(reach)).float()))
            variances[chosen] *= np.interp(points, POINTS, ERROR)

    def forward(self, z_BD: Tensor) -> Quantized:
        left_BD = (z_BD - self.centre) @ self.axes
        parts = []
        for grid, scale, chosen in zip(self.grids, self.scales, self.chosen, strict=True):
            reach = scale.exp()
            point_BG = grid((left_BD[:, chosen] / reach)[:, None])[0][:, 0] * reach
            said_BD = torch.zeros_like(left_BD).index_copy(1, chosen.to(left_BD.device), point_BG)
            left_BD = left_BD - said_BD
            parts.append(said_BD @ self.axes.T)
        parts[0] = parts[0] + self.centre
        return Quantized(torch.stack(parts), z_BD.new_zeros(()))

    @torch.no_grad()
    def codebooks(self) -> Tensor:
        """Every point of every grid; where a grid has fewer than `codebook_size`, its first one again."""
        books = []
        for level, (grid, scale, chosen) in enumerate(zip(self.grids, self.scales, self.chosen, strict=True)):
            points = grid.codebook if hasattr(grid, "codebook") else grid.implicit_codebook
            assert isinstance(points, Tensor)
            book = (points * scale.exp()) @ self.axes[:, chosen].T
            book = book + self.centre if level == 0 else book
            spare = book[:1].expand(self.codebook_size - len(book), -1)
            books.append(torch.cat([book, spare]))
        return torch.stack(books)


def allocate(variances: Float64[np.ndarray, "axes"], size: int) -> np.ndarray:
    """Points for each axis, 1 for none, their product at most `size`: the most error saved per bit, greedily.

    Uses `POINTS` and `ERROR`; axes without variance get none.
    """
    step = np.zeros(len(variances), int)
    room = float(size)
    while True:
        after = np.minimum(step + 1, len(POINTS) - 1)
        growth = POINTS[after] / POINTS[step]
        saved = variances * (ERROR[step] - ERROR[after]) / np.log(np.where(growth > 1, growth, 2))
        saved = np.where((growth > 1) & (growth <= room + 1e-9), saved, 0)
        best = int(saved.argmax())
        if saved[best] <= 0:
            return POINTS[step]
        room /= growth[best]
        step[best] += 1


def _signs(variances: np.ndarray, bits: int) -> np.ndarray:
    counts = np.ones(len(variances), int)
    counts[np.argsort(-variances, kind="stable")[:bits]] = 2
    return counts


def _fsq(kind: type[nn.Module], points: np.ndarray) -> nn.Module:
    """Rounding to the nearest point of −1 … 1, straight through: neither bent (tanh) nor shifted."""
    return kind(levels=points.tolist(), preserve_symmetry=True, bound_hard_clamp=True)


def _principal_axes(latents: Tensor, horizon: int) -> tuple[np.ndarray, Tensor]:
    """Variances along the principal axes, largest first, and the axes as columns.

    Of few latents the covariance is not to be trusted: it leans on one of fewer numbers, in which dimensions
    know nothing of each other and the DCT along time has decorrelated each, by D / (D + N).
    """
    x = latents.double().numpy()
    x = x - x.mean(0)
    count, size = x.shape
    dct = dct_matrix(horizon).astype(np.float64)
    variance_KA = np.square(np.einsum("kt,nta->nka", dct, x.reshape(count, horizon, -1))).mean(0)
    plain = np.einsum("kt,ka,ks,ab->tasb", dct, variance_KA, dct, np.eye(variance_KA.shape[1]))
    lean = size / (size + count)
    values, axes = np.linalg.eigh((1 - lean) * x.T @ x / count + lean * plain.reshape(size, size))
    # Signs of eigenvectors are the solver's whim: the largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(size)])
    return values[::-1].clip(1e-12).copy(), torch.from_numpy(axes[:, ::-1].copy()).float()


def make_quantizer(
    config: FitVqvaeConfig, shape: NetworkShape, latents: Tensor
) -> ResidualQuantizer | GridQuantizer:
    """The quantiser of a configuration, for latents like these.

    Raises:
        ConfigError: plain VQ with more than one level; see `GridQuantizer`.
    """
    kind, levels, size = config.quantizer, config.levels, config.codebook_size
    if kind == "vq" and levels != 1:
        raise ConfigError(
            "plain vector quantisation has one level",
            where="levels",
            expected="1",
            got=str(levels),
            next_step="use --quantizer residual_vq for more",
        )
    if kind in ("vq", "residual_vq"):
        return ResidualQuantizer(shape.latent, levels, size, config.fit.batch_size, config.codebook_decay)
    return GridQuantizer(latents, shape, signs=kind == "lfq")
