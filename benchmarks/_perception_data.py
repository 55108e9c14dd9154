"""Labelled Meta-World episodes for the perception benchmarks: what is trained on and what is kept from it.

Three data sets lie side by side: `train`; `placements`, the same tasks with things standing elsewhere; and
`tasks`, tasks that are never trained on. The last two are also seen by a camera that `train` lacks. One task
of the last has an object of a class that training never shows (a block), the other a known one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vla_data.protocols import OnProgress, no_progress
from vla_data.sim import CameraView
from vla_data.sim.generate import GenerateConfig, generate

SIZE = 240  # pixels, both sides
KNOWN_CAMERAS, UNSEEN_CAMERA = ("corner4", "corner"), "corner3"
TRAIN_TASKS = (
    "button-press-topdown", "door-open", "drawer-open", "window-open", "pick-place",
    "coffee-push", "plate-slide", "soccer", "handle-press", "reach-wall",
)  # fmt: skip
HELD_OUT_TASKS = ("push-back", "door-close")
TRAIN_CLASSES = ("ball", "button", "door", "drawer", "gripper", "handle", "mug", "plate", "puck", "window")


@dataclass(frozen=True)
class PerceptionData:
    """The three data sets, each the directory that `open_episodes` takes."""

    train: Path
    placements: Path
    tasks: Path


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
    tasks = TRAIN_TASKS[1:3] if smoke else TRAIN_TASKS
    episodes: Callable[[int], int] = (lambda n: 1) if smoke else (lambda n: n)
    known = _views(KNOWN_CAMERAS, size)
    unseen = _views((KNOWN_CAMERAS[0], UNSEEN_CAMERA), size)
    return {
        "train": _config(tasks, episodes(4), 0, known),
        "placements": _config(tasks, episodes(1), 1, unseen),
        "tasks": _config(HELD_OUT_TASKS[: len(tasks)], episodes(2), 2, unseen),
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
