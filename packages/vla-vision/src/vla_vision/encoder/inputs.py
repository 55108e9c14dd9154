"""Stored features, in metres and seconds, as numbers that a network likes: about −2 … 2, 0 where unknown."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float16, UInt8
from torch import Tensor

from vla_vision.encoder.config import Channel
from vla_vision.encoder.features import OBJECTS
from vla_vision.encoder.tokens import Batch
from vla_vision.image_tokens import wave_count, waves

PLANES: dict[Channel, int] = {"rgb": 3, "depth": 2, "flow": 3}
FLOW_SCALE, FAST, FAR = 4.0, 4.0, 0.5  # per frame width a second; per m/s; per metre
NEAREST, HUGE = 0.01, 1e6  # metres

Column = tuple[str, float]
# What is linear near zero and grows like a logarithm beyond 1: a table top and a street both fit.
SQUASHED: tuple[Column, ...] = (
    ("motion", FLOW_SCALE),
    ("depths", FAR),
    ("position", FAR),
    ("velocity", FAST),
    ("world_position", FAR),
    ("world_velocity", FAST),
)
SPREADS: tuple[Column, ...] = (
    ("position_std", FAR),
    ("velocity_std", FAST),
    ("world_position_std", FAR),
    ("world_velocity_std", FAST),
)
WIDTHS = {"motion": 2, "depths": 1, "look": 0}
OCTAVES = 6  # in which places and motions are told beside
FLAGS = 5  # seen, placed, in_world, a depth, score
BOX = 4


def rgb_planes(rgb: UInt8[Tensor, "*lead h w 3"]) -> Float[Tensor, "*lead 3 h w"]:
    """Colours in [−1, 1]."""
    return rgb.movedim(-1, -3).float() / 127.5 - 1


def log_depth(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of metres, 0 where unknown; and where it is known. NaN and Inf count as unknown."""
    values = torch.nan_to_num(depth.float(), nan=0.0, posinf=0.0, neginf=0.0)
    known = values > 0
    return torch.where(known, torch.log(values.clamp(min=NEAREST)), 0.0), known


def depth_planes(depth: Float16[Tensor, "*lead h w"]) -> Float[Tensor, "*lead 2 h w"]:
    """Logarithm of metres, and where it is known."""
    values, known = log_depth(depth)
    return torch.stack([values, known.to(values.dtype)], dim=-3)


def squash(values: Tensor, scale: float) -> Tensor:
    """Scaled, linear near zero, like a logarithm beyond 1."""
    return torch.asinh(torch.nan_to_num(values.float()).clamp(-HUGE, HUGE) * scale)


def flow_planes(
    flow: Float16[Tensor, "*lead h w 2"], known: Bool[Tensor, "*lead"]
) -> Float[Tensor, "*lead 3 h w"]:
    """Squashed flow, 0 where unknown; and whether it is known."""
    given = known[..., None, None, None].expand(*flow.shape[:-1], 1)
    moved = torch.where(given, squash(flow, FLOW_SCALE), 0.0)
    return torch.cat([moved, given.to(moved.dtype)], dim=-1).movedim(-1, -3)


def planes(batch: Batch, channel: Channel) -> Float[Tensor, "*lead c h w"]:
    """One group of channels of a batch."""
    if channel == "rgb":
        return rgb_planes(batch["rgb"])
    if channel == "depth":
        return depth_planes(batch["depth"])
    return flow_planes(batch["flow"], batch["flow_known"])


def latest_rows(batch: Batch) -> dict[str, Tensor]:
    """The object table of the latest frame, [B, N, …], and whether it is known in the world, [B]."""
    names = [name for name in batch if name.startswith(OBJECTS)]
    return {name: batch[name][:, -1] for name in (*names, "in_world")}


def row_width(look_dim: int) -> int:
    """Numbers in a row of `row_inputs`."""
    columns = (*SQUASHED, *SPREADS)
    return BOX + FLAGS + sum(WIDTHS.get(name, 3) for name, _ in columns) + 1 + look_dim


def row_inputs(batch: Batch) -> Float[Tensor, "*lead n f"]:
    """The rows of the object table as numbers; class and identity apart. Rows without an object give 0."""
    column = {
        name.removeprefix(OBJECTS): values for name, values in batch.items() if name.startswith(OBJECTS)
    }
    low, high = column["boxes"][..., :2], column["boxes"][..., 2:]
    log, known = log_depth(column["depths"])
    world = batch["in_world"][..., None].expand(known.shape)
    flags = [column["seen"], column["placed"], world, known, column["scores"]]
    parts = [(low + high) - 1, 2 * (high - low)]  # centre in [−1, 1], size
    parts += [torch.stack([f.float() for f in flags], dim=-1), log[..., None]]
    for name, scale in SQUASHED:
        values = column[name]
        parts.append(squash(values if values.dim() > known.dim() else values[..., None], scale))
    parts += [torch.log1p(10 * scale * column[name].float().clamp(min=0)) for name, scale in SPREADS]
    rows = torch.cat([*parts, column["looks"].float()], dim=-1)
    return torch.where(column["valid"][..., None], torch.nan_to_num(rows), 0.0)


def told_width(look_dim: int) -> int:
    """Numbers in a row of `told_rows`."""
    return row_width(look_dim) + wave_count(BOX + WIDTHS["motion"] + 1, OCTAVES)


def told_rows(rows: Float[Tensor, "*lead n f"]) -> Float[Tensor, "*lead n g"]:
    """Rows of `row_inputs` with place, size, motion and its amount in octaves of sines and cosines beside.

    What compares two things has to tell small differences of numbers, and a norm blurs them.
    """
    first = BOX + FLAGS + 1
    motion = rows[..., first : first + WIDTHS["motion"]]
    amount = motion.norm(dim=-1, keepdim=True)
    return torch.cat([rows, waves(torch.cat([rows[..., :BOX], motion, amount], dim=-1), OCTAVES)], dim=-1)
