"""A made-up room whose depth is known to the digit: a floor, a wall and a ball, through a pinhole camera."""

from __future__ import annotations

import numpy as np
from tests.data.episodes import ROBOT

from vla_data.types import ArrayImages, Camera, Episode

FLOOR, WALL, RADIUS = 0.5, 3.0, 0.35  # metres: below the camera, ahead of it, of the ball


def rays(height: int, width: int, focal: float) -> np.ndarray:
    """Directions [h, w, 3] with z = 1; `focal` in pixels."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return np.stack([(x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal, np.ones_like(x)], -1)


def look(
    ball: tuple[float, float, float],
    height: int = 32,
    width: int = 32,
    focal: float = 32.0,
    turn: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Picture uint8 [h, w, 3], depth along the axis float32 [h, w]; `turn`: old axes → the camera's axes."""
    turn = np.eye(3) if turn is None else turn
    d = rays(height, width, focal) @ turn  # in the room's axes
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(d[..., 1] > 1e-9, FLOOR / d[..., 1], np.inf)
        wall = np.where(d[..., 2] > 1e-9, WALL / d[..., 2], np.inf)
    centre = np.array(ball)
    b = d @ centre
    disc = b**2 - (d**2).sum(-1) * (centre @ centre - RADIUS**2)
    round_ = np.where(disc > 0, (b - np.sqrt(np.maximum(disc, 0))) / (d**2).sum(-1), np.inf)
    t = np.stack([floor, wall, round_])
    what, depth = t.argmin(0), t.min(0)
    place = d * depth[..., None]
    checks = ((np.floor(place[..., 0] * 4) + np.floor(place[..., 2] * 4)) % 2)[..., None]
    shade = np.clip(1.4 - 0.3 * depth, 0.2, 1)[..., None]
    colours = np.array([[150, 150, 160], [70, 90, 170], [220, 60, 40]])[what] * (
        1 - 0.3 * checks * (what == 0)[..., None]
    )
    return (colours * shade).astype(np.uint8), depth.astype(np.float32)


def room_episode(
    seed: int = 0, steps: int = 12, size: int = 32, cameras: dict[str, float] | None = None
) -> Episode:
    """An episode in which the ball rolls by; camera name → focal length in picture heights."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(-0.8, -0.3), rng.uniform(0.05, 0.12)
    far = rng.uniform(1.2, 2.2)
    images, depth, known = {}, {}, {}
    for name, focal in (cameras or {"front": 1.0, "tele": 1.5}).items():
        seen = [
            look((start + speed * t, FLOOR - RADIUS, far), size, size, focal * size) for t in range(steps)
        ]
        images[name] = ArrayImages(np.stack([i for i, _ in seen]))
        depth[name] = np.stack([d for _, d in seen])
        k = ((focal * size, 0.0, (size - 1) / 2), (0.0, focal * size, (size - 1) / 2), (0.0, 0.0, 1.0))
        known[name] = Camera(name, size, size, intrinsics=k)
    return Episode(
        id=f"room-{seed}",
        robot=ROBOT,
        action=np.zeros((steps, 4), np.float32),
        state=np.zeros((steps, 5), np.float32),
        time=np.arange(steps) / 10,
        images=images,
        depth=depth,
        cameras=known,
    )


class Episodes:
    """An `EpisodeSource` over episodes in memory."""

    name, robot = "rooms", ROBOT

    def __init__(self, episodes: list[Episode]) -> None:
        self.episodes = episodes

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Episode:
        return self.episodes[index]
