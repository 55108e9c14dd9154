"""3-D velocity of tracked objects from boxes and a noisy depth, seen from a moving camera: the Kalman filter
beside differences of positions over one and five frames, and beside saying that nothing moves.

Made-up objects with exact truth: things on a table that are pushed to and fro, starting and stopping, under a
depth that flickers by 5% (a model) or 2% (a sensor); and traffic. Its scale is wrong by up to 5%. The
differences use the same boxes, depths and camera poses. With little flicker and much starting and stopping
five frames are a good length, so there the filter only has to be no worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from _frame import Check, run
from vla_vision.types import Tracks
from vla_vision.velocity import PRESETS, VelocityFilter, radial_and_lateral

WIDTH, HEIGHT = 320, 240
K = np.array([[300.0, 0, WIDTH / 2], [0, 300.0, HEIGHT / 2], [0, 0, 1]])
SLOWEST = 0.05  # m/s; slower things are not scored
SETTLED = 10  # frames before anything is scored


@dataclass(frozen=True)
class Scene:
    """Distances in metres, `speed` of the fastest in m/s, `push` seconds from stop to stop (0: never stops).

    `flicker` and `scale` are shares of depth, `pixels` is noise of boxes.
    """

    preset: str
    distance: float
    size: float
    speed: float
    push: float
    rate: float
    frames: int
    flicker: float
    scale: float
    pixels: float = 1.0


SCENES = {
    "table, 5% flicker": Scene("default", 1.0, 0.08, 0.4, 1.5, 20.0, 80, 0.05, 0.05),
    "table, 2% flicker": Scene("default", 1.0, 0.08, 0.4, 1.5, 20.0, 80, 0.02, 0.05),
    "traffic, 5% flicker": Scene("street", 20.0, 1.6, 6.0, 0.0, 10.0, 40, 0.05, 0.05),
}
ROUGH = 0.05
OVER_FIVE, OVER_ZERO = 0.5, 0.7


def main(smoke: bool) -> list[Check]:
    """Every scene, over many runs."""
    return [c for name, scene in SCENES.items() for c in _checks(name, scene, 10 if smoke else 60)]


def _checks(name: str, scene: Scene, runs: int) -> list[Check]:
    found = [_run(scene, seed) for seed in range(runs)]
    error = {key: float(np.mean(np.concatenate([f[key] for f in found]))) for key in found[0]}
    ours, five, zero = error["kalman"], error["five"], error["zero"]
    peer = f"one frame {error['one']:.2f}, five frames {five:.2f}, zero {zero:.2f}"
    parts = f"radial {error['radial']:.2f}, lateral {error['lateral']:.2f}"
    goal = OVER_FIVE if scene.flicker >= ROUGH else 1.0
    return [
        Check(f"{name}: mean error", ours, "m/s", "", f"{peer} m/s", True),
        Check(f"{name}: over five frames", ours / five, "×", f"<= {goal:g}", "", ours <= goal * five),
        Check(f"{name}: over zero", ours / zero, "×", f"<= {OVER_ZERO:g}", parts, ours <= OVER_ZERO * zero),
    ]


def _run(scene: Scene, seed: int) -> dict[str, np.ndarray]:
    """Errors of each way in m/s, over the frames and objects that are scored."""
    rng = np.random.default_rng(seed)
    engine = VelocityFilter(K, PRESETS[scene.preset]())
    scale = 1 + rng.uniform(-scene.scale, scene.scale)
    places, speeds = _paths(rng, scene)
    points: list[np.ndarray] = []
    errors: dict[str, list[np.ndarray]] = {
        k: [] for k in ("kalman", "one", "five", "zero", "radial", "lateral")
    }
    for t in range(scene.frames):
        pose = _pose(scene, t / scene.rate)
        boxes, depths = _seen(rng, scene, places[t], pose, scale)
        out = engine.update(t / scene.rate, _tracks(boxes), _painted(boxes, depths), pose)
        points.append(_lifted(boxes, depths, pose))
        if t < SETTLED:
            continue
        told = out.ids[out.measured]  # not what is hidden or has left the picture
        moving = speeds[t][told]
        fast = np.linalg.norm(moving, axis=1) > SLOWEST
        off = (out.velocities[out.measured] - moving)[fast]
        radial, lateral = radial_and_lateral(off, places[t][told][fast], pose[:3, 3])
        errors["kalman"].append(np.linalg.norm(off, axis=1))
        errors["zero"].append(np.linalg.norm(moving[fast], axis=1))
        errors["radial"].append(abs(radial))
        errors["lateral"].append(lateral)
        for key, n in (("one", 1), ("five", 5)):
            difference = (points[-1] - points[-1 - n])[told] * scene.rate / n
            errors[key].append(np.linalg.norm((difference - moving)[fast], axis=1))
    return {key: np.concatenate(values) for key, values in errors.items()}


def _paths(rng: np.random.Generator, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Places and velocities [frames, 3 objects, 3] in the world: z away from the first camera."""
    home = np.array([[-0.25, 0.0, 1.0], [0.0, 0.1, 1.2], [0.25, -0.1, 0.9]]) * scene.distance
    time = np.arange(scene.frames) / scene.rate
    speeds = np.empty((scene.frames, 3, 3))
    for i in range(3):
        speeds[:, i] = _pushed(rng, scene, time) if scene.push else _driven(rng, scene, time)
    places = home + np.cumsum(speeds, axis=0) / scene.rate
    return places - speeds / scene.rate, speeds


def _pushed(rng: np.random.Generator, scene: Scene, time: np.ndarray) -> np.ndarray:
    """Pushes there and back in one direction, each with the velocity of a minimum-jerk motion."""
    angle, peak = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1) * scene.speed
    phase = (time + rng.uniform(0, scene.push)) / scene.push
    share = phase % 1.0
    size = peak * 16 * share**2 * (1 - share) ** 2 * np.where(phase.astype(int) % 2, -1, 1)
    return size[:, None] * np.array([np.cos(angle), 0, np.sin(angle)])


def _driven(rng: np.random.Generator, scene: Scene, time: np.ndarray) -> np.ndarray:
    """A steady speed on a bend."""
    angle = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.1) * time
    speed = rng.uniform(0.5, 1) * scene.speed
    return speed * np.stack([np.cos(angle), np.zeros_like(time), np.sin(angle)], axis=1)


def _pose(scene: Scene, time: float) -> np.ndarray:
    """A camera that sways sideways and turns a little, camera → world."""
    turn = 0.1 * np.sin(1.5 * time)
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    pose[0, 3] = 0.15 * scene.distance * np.sin(1.1 * time)
    return pose


def _seen(
    rng: np.random.Generator, scene: Scene, places: np.ndarray, pose: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 [N, 4] and depths [N] as noisy as the scene says; each object flickers on its own."""
    local = (places - pose[:3, 3]) @ pose[:3, :3]
    pixels = (local @ K.T)[:, :2] / local[:, 2:]
    half = 0.5 * scene.size * K[0, 0] / local[:, 2:]
    boxes = np.concatenate([pixels - half, pixels + half], axis=1) + rng.normal(
        0, scene.pixels, (len(places), 4)
    )
    return boxes.astype(np.float32), local[:, 2] * scale * (1 + rng.normal(0, scene.flicker, len(places)))


def _painted(boxes: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """A depth picture with each object at its depth, the nearest last."""
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    for i in np.argsort(-depths):
        x1, y1, x2, y2 = boxes[i].round().astype(int).clip(0)
        picture[y1:y2, x1:x2] = depths[i]
    return picture


def _lifted(boxes: np.ndarray, depths: np.ndarray, pose: np.ndarray) -> np.ndarray:
    middle = (boxes[:, :2] + boxes[:, 2:]).astype(np.float64) / 2
    ray = np.concatenate([(middle - K[:2, 2]) / K[0, 0], np.ones((len(boxes), 1))], axis=1)
    return ray * depths[:, None] @ pose[:3, :3].T + pose[:3, 3]


def _tracks(boxes: np.ndarray) -> Tracks:
    n = len(boxes)
    none, order = np.zeros(n, np.int64), np.arange(n)
    return Tracks(order, boxes, np.ones(n, np.float32), none, none, order, np.zeros((n, 2), np.float32))


if __name__ == "__main__":
    run(main, "velocity")
