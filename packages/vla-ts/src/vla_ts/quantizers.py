"""Quantisers in training: latents in, what each level says of them out (`vector-quantize-pytorch` inside).

- `ResidualQuantizer`: learnt codebooks (VQ, residual VQ; Zeghidour et al. 2021, arXiv:2107.03312), moving
  averages that start as k-means centres; codes that are hardly used are replaced by latents of the batch
- `GridQuantizer`: nothing learnt but a scale for each axis: a grid over principal axes of the latents (FSQ,
  Mentzer et al. 2023, arXiv:2309.15505), or their signs (LFQ, Yu et al. 2023, arXiv:2310.05737), laid as
  `vla_ts.grids` says; a gripper that only switches takes a table of its switches instead

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
from vla_ts.grids import GridPlan
from vla_ts.networks import NetworkShape

DEAD_SHARE = 0.1  # a code used less than this share of the average is replaced
SWITCHED = 0.05  # of a gripper's variance may remain where it is said to switch only
CODES_PER_BATCH = 4  # uses of a code a batch from which on `decay` is as it was given


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
    """A grid over axes of the latents: each level takes axes of its own, those with the most variance first.

    Where there are levels left when every axis has its points, they take what is left over once more. A
    gripper that only switches is said by the first levels, one a level, as one of `switch_patterns`; the
    axes are then those of what the patterns leave over.

    Args:
        latents: [N, D] that say where the axes lie and how far values spread along them.
        shape: sizes of the network: levels are grids of `codebook_size` points at most.
        signs: two points an axis, `codebook_size` = 2^axes (LFQ); else as many as pay (FSQ).
        grippers: columns of the chunks that may only switch; not used with `signs`.

    Raises:
        ConfigError: with `signs`, a codebook that is no power of two, or has more bits than there are axes.
    """

    centre: Tensor
    axes: Tensor

    def __init__(
        self, latents: Tensor, shape: NetworkShape, signs: bool, grippers: tuple[int, ...] = ()
    ) -> None:
        from vector_quantize_pytorch import FSQ, LFQ

        super().__init__()
        self.codebook_size = shape.codebook_size
        self.patterns = nn.ModuleList() if signs else _switches(latents, shape, grippers)
        for pattern in self.patterns:
            latents = latents - pattern(latents)
        rooms = [shape.codebook_size / self._patterns_of(level) for level in range(shape.levels)]
        x, horizon = latents.double().numpy(), shape.action_horizon
        bits = _bits(shape) if signs else 0
        plan = GridPlan.of_signs(x, horizon, bits, shape.levels) if signs else GridPlan.of(x, horizon, rooms)
        self.register_buffer("centre", torch.from_numpy(plan.centre).float())
        self.register_buffer("axes", torch.from_numpy(plan.axes).float())
        self.grids, self.scales, self.chosen = nn.ModuleList(), nn.ParameterList(), []
        for counts, reaches in zip(plan.counts, plan.reaches, strict=True):
            chosen = np.flatnonzero(counts > 1)
            grid = LFQ(codebook_size=shape.codebook_size) if signs else _fsq(FSQ, counts[chosen])
            self.grids.append(grid)
            self.chosen.append(torch.from_numpy(chosen))
            self.scales.append(nn.Parameter(torch.from_numpy(np.log(reaches[chosen])).float()))

    def _patterns_of(self, level: int) -> int:
        """Patterns of a gripper that a level says beside its grid."""
        return len(self.patterns[level].table) if level < len(self.patterns) else 1  # type: ignore[arg-type]

    def forward(self, z_BD: Tensor) -> Quantized:
        switched = [z_BD.new_zeros(z_BD.shape) for _ in self.grids]
        for level, pattern in enumerate(self.patterns):
            switched[level] = pattern(z_BD)
        left_BD = (z_BD - sum(switched) - self.centre) @ self.axes
        parts = []
        for grid, scale, chosen, said_BD in zip(self.grids, self.scales, self.chosen, switched, strict=True):
            reach = scale.exp()
            point_BG = grid((left_BD[:, chosen] / reach)[:, None])[0][:, 0] * reach
            along_BD = torch.zeros_like(left_BD).index_copy(1, chosen.to(left_BD.device), point_BG)
            left_BD = left_BD - along_BD
            parts.append(said_BD + along_BD @ self.axes.T)
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
            if level < len(self.patterns):
                book = (self.patterns[level].latents()[:, None] + book).flatten(0, 1)  # type: ignore[operator]
            spare = book[:1].expand(self.codebook_size - len(book), -1)
            books.append(torch.cat([book, spare]))
        return torch.stack(books)


class SwitchPattern(nn.Module):
    """What a gripper does in a chunk: it stays at one of two values, or switches once. [B, D] → [B, D].

    Args:
        size: width of a latent.
        columns: where in it the gripper stands, step by step.
        low, high: its two values.
    """

    table: Tensor
    columns: Tensor

    def __init__(self, size: int, columns: np.ndarray, low: float, high: float) -> None:
        super().__init__()
        self.size = size
        table = low + (high - low) * switch_patterns(len(columns))
        self.register_buffer("table", torch.from_numpy(table).float())
        self.register_buffer("columns", torch.from_numpy(columns))

    def latents(self) -> Tensor:
        """Every pattern as a latent, [patterns, D]; zero but for the gripper."""
        return self.table.new_zeros((len(self.table), self.size)).index_copy(1, self.columns, self.table)

    def forward(self, z_BD: Tensor) -> Tensor:
        return self.latents()[torch.cdist(z_BD[:, self.columns].detach(), self.table).argmin(1)]


def switch_patterns(steps: int) -> Float64[np.ndarray, "patterns steps"]:
    """The 2 × `steps` ways to be 0 or 1 with at most one switch."""
    before = np.arange(steps) < np.arange(steps)[:, None]
    return np.concatenate([before, ~before]).astype(np.float64)


def _switches(latents: Tensor, shape: NetworkShape, grippers: tuple[int, ...]) -> nn.ModuleList:
    """Patterns for the grippers that do nothing but switch, one a level, where they leave room for a grid."""
    found = nn.ModuleList()
    fits = 4 * shape.action_horizon <= shape.codebook_size
    for gripper in grippers if fits else ():
        columns = np.arange(gripper, shape.latent, shape.action_dim)
        values = latents[:, columns]
        low, high = (float(torch.quantile(values, q)) for q in (0.01, 0.99))
        pattern = SwitchPattern(shape.latent, columns, low, high)
        left = (values - pattern(latents)[:, columns]).square().mean()
        if len(found) < shape.levels and left < SWITCHED * values.var(correction=0):
            found.append(pattern)
    return found


def _bits(shape: NetworkShape) -> int:
    """Bits of a code of signs."""
    bits = shape.codebook_size.bit_length() - 1
    if 2**bits != shape.codebook_size:
        raise ConfigError(
            "a quantiser of signs needs a power of two of codes",
            where="codebook_size",
            expected=f"2, 4, 8 … {2 ** min(shape.latent, 20)}",
            got=str(shape.codebook_size),
        )
    return bits


def _fsq(kind: type[nn.Module], points: np.ndarray) -> nn.Module:
    """Rounding to the nearest point of −1 … 1, straight through: neither bent (tanh) nor shifted."""
    return kind(levels=points.tolist(), preserve_symmetry=True, bound_hard_clamp=True)


def make_quantizer(
    config: FitVqvaeConfig, shape: NetworkShape, latents: Tensor, grippers: tuple[int, ...] = ()
) -> ResidualQuantizer | GridQuantizer:
    """The quantiser of a configuration, for latents like these; `grippers` are columns of the chunks.

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
    return GridQuantizer(latents, shape, kind == "lfq", grippers)
