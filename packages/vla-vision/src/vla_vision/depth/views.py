"""Training pictures from cameras that were never there.

Turning a camera about its centre and changing its focal length maps pixels to pixels, whatever is in view
(a homography), and the depth along the new axis follows exactly from the old one. In canonical depth a
longer focal length also stands for a nearer camera. Only what moving sideways uncovers cannot be had this
way.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from torch.nn import functional

from vla_vision.depth.config import ViewConfig


def virtual_views(
    images: Float[Tensor, "b 3 h w"],
    depth: Float[Tensor, "b h w"],
    focal: Float[Tensor, "b"],
    rotation: Float[Tensor, "b 3 3"],
    new_focal: Float[Tensor, "b"],
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b h w"], Bool[Tensor, "b h w"]]:
    """What cameras turned by `rotation` (old axes → new axes) with other focal lengths see.

    Args:
        depth: along the optical axis, any unit.
        focal, new_focal: in pixels; the optical axis goes through the middle of the picture.

    Returns:
        images (zeros outside the old view), depth along the new axis, and which pixels the old view covers.
    """
    _, _, height, width = images.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    rays_BHW3 = torch.stack(
        [
            x[None] / new_focal[:, None, None],
            y[None] / new_focal[:, None, None],
            torch.ones(len(images), height, width),
        ],
        -1,
    )
    old_BHW3 = torch.einsum("bji,bhwj->bhwi", rotation, rays_BHW3)
    ahead_BHW = old_BHW3[..., 2].clamp(min=1e-3)
    u = old_BHW3[..., 0] / ahead_BHW * focal[:, None, None] / (width / 2)
    v = old_BHW3[..., 1] / ahead_BHW * focal[:, None, None] / (height / 2)
    grid_BHW2 = torch.stack([u, v], -1)
    seen = functional.grid_sample(images, grid_BHW2, "bilinear", "zeros", align_corners=False)
    old_depth = functional.grid_sample(depth[:, None], grid_BHW2, "nearest", "border", align_corners=False)
    covered = (grid_BHW2.abs() <= 1).all(-1) & (old_BHW3[..., 2] > 1e-3)
    return seen, old_depth[:, 0] / ahead_BHW, covered


def random_views(
    images: Float[Tensor, "b 3 h w"],
    depth: Float[Tensor, "b h w"],
    focal: Float[Tensor, "b"],
    config: ViewConfig,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b h w"], Float[Tensor, "b"]]:
    """Pictures in [0, 1], depth (0: unknown) and focal lengths in pixels, as random virtual cameras see."""
    count = len(images)
    changed = rng.random(count) >= config.plain
    factor = np.where(changed, config.zoom ** rng.uniform(-0.5, 1, count), 1.0)
    angles = rng.normal(size=(count, 3)) * [config.turn, config.turn, config.roll] * changed[:, None]
    new_focal = focal * torch.from_numpy(factor).float()
    rotation = torch.from_numpy(_rotations(np.deg2rad(angles)))
    seen, far, covered = virtual_views(images, depth, focal, rotation, new_focal)
    far = torch.where(covered, far, 0.0)
    mirrored = torch.from_numpy((rng.random(count) < 0.5) & config.mirror)
    seen = torch.where(mirrored[:, None, None, None], seen.flip(-1), seen)
    far = torch.where(mirrored[:, None, None], far.flip(-1), far)
    gain = torch.from_numpy(np.exp(rng.normal(0, config.colour, (count, 3, 1, 1)))).float()
    light = torch.from_numpy(rng.normal(0, config.colour, (count, 1, 1, 1))).float()
    return (seen * gain + light).clamp(0, 1), far, new_focal


def _rotations(angles: np.ndarray) -> Float32[np.ndarray, "b 3 3"]:
    """Yaw about y, then pitch about x, then roll about z, [B, 3] radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    one, nil = np.ones_like(cy), np.zeros_like(cy)

    def stack(*rows: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    yaw = stack([cy, nil, sy], [nil, one, nil], [-sy, nil, cy])
    pitch = stack([one, nil, nil], [nil, cp, -sp], [nil, sp, cp])
    roll = stack([cr, -sr, nil], [sr, cr, nil], [nil, nil, one])
    return (roll @ pitch @ yaw).astype(np.float32)
