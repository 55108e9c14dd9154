"""Labelled Meta-World episodes for the perception benchmarks: what is trained on and what is kept from it.

Three data sets lie side by side: `train`; `placements`, the same tasks with things standing elsewhere; and
`tasks`, tasks that are never trained on. The last two are also seen by a camera that `train` lacks. Two of
the held-out tasks have objects of known classes, one has a thing that training never shows (a nut). A third
camera of `train` stands somewhere else at every step. `depth` is for depth alone: small views of other tasks'
placements from all sides, three of them from anywhere; `UNSEEN_CAMERA` is in it to be measured on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vla_data.protocols import OnProgress, no_progress
from vla_data.sim import CameraView
from vla_data.sim.config import Wander
from vla_data.sim.generate import PRESETS, GenerateConfig, generate

SIZE = 240  # pixels, both sides
KNOWN_CAMERAS, UNSEEN_CAMERA = ("corner4", "corner"), "corner3"
FREE_CAMERA = "free"
TABLE = (0.0, 0.6, 0.1)  # about the middle of Meta-World's table, metres
TRAIN_TASKS = (
    "button-press-topdown", "button-press", "coffee-button", "coffee-push", "door-open", "drawer-open",
    "drawer-close", "faucet-open", "handle-press", "handle-pull", "lever-pull", "peg-insert-side",
    "pick-place", "push", "plate-slide", "reach-wall", "soccer", "basketball", "sweep-into", "window-open",
)  # fmt: skip
KNOWN_CLASS_TASKS, NEW_CLASS_TASKS = ("push-back", "door-close"), ("assembly",)
HELD_OUT_TASKS = (*KNOWN_CLASS_TASKS, *NEW_CLASS_TASKS)
TRAIN_CLASSES = (
    "ball", "block", "button", "door", "drawer", "faucet", "gripper", "handle", "lever", "mug", "peg",
    "plate", "puck", "window",
)  # fmt: skip


@dataclass(frozen=True)
class PerceptionData:
    """The data sets, each the directory that `open_episodes` takes."""

    train: Path
    placements: Path
    tasks: Path
    depth: Path


def perception_data(
    directory: Path, smoke: bool = False, workers: int | None = None, on_progress: OnProgress = no_progress
) -> PerceptionData:
    """Make what is not yet in `directory`; shards that are there are kept.

    Args:
        smoke: two tasks, small frames, one episode each: for a run that only shows that it works.
    """
    made = {}
    for name, config in _configs(smoke).items():
        summary = generate(config, directory / name, workers=workers, on_progress=on_progress)
        made[name] = Path(summary["directory"])
    return PerceptionData(**made)


def _configs(smoke: bool) -> dict[str, GenerateConfig]:
    size = SIZE // 3 if smoke else SIZE
    tasks = ("drawer-open", "push") if smoke else TRAIN_TASKS
    episodes: Callable[[int], int] = (lambda n: 1) if smoke else (lambda n: n)
    free = CameraView(FREE_CAMERA, KNOWN_CAMERAS[0], size, size, Wander(TABLE))
    known = (*_views(KNOWN_CAMERAS, size), free)
    unseen = _views((KNOWN_CAMERAS[0], UNSEEN_CAMERA), size)
    everywhere = PRESETS["perception"]()
    views = tuple(
        CameraView(f"free{fovy}", KNOWN_CAMERAS[0], 96, 96, Wander(TABLE, fovy=float(fovy)))
        for fovy in (40, 50, 60)
    )
    fixed = tuple(c for c in everywhere.cameras or () if not c.name.startswith(FREE_CAMERA))
    depth = replace(
        everywhere,
        tasks=everywhere.tasks[: 2 if smoke else None],
        episodes=episodes(4),
        seed=3,
        cameras=(*fixed, *views),
        image_encoding="jpeg",
    )
    return {
        "depth": depth,
        "train": _config(tasks, episodes(6), 0, known),
        "placements": _config(tasks, episodes(2), 1, unseen),
        "tasks": _config(HELD_OUT_TASKS[: len(tasks)], episodes(3), 2, unseen),
    }


def _views(names: tuple[str, ...], size: int) -> tuple[CameraView, ...]:
    return tuple(CameraView(name, name, size, size) for name in names)


def _config(
    tasks: tuple[str, ...], episodes: int, seed: int, cameras: tuple[CameraView, ...]
) -> GenerateConfig:
    """JPEG, as a camera would give, and a shard a task, so that each model is built once."""
    return GenerateConfig(
        tasks=tasks,
        episodes=episodes,
        seed=seed,
        cameras=cameras,
        labels=True,
        image_encoding="jpeg",
        episodes_per_shard=episodes,
    )
