"""Demonstrations: scripted experts over training placements, kept as an RLDS data set.

Notable features:
- a unit of work is one shard of one task; it tries its own placements in a fixed order until it has its
  episodes, so that the data set depends neither on the number of workers nor on interruptions
- each placement is rehearsed without drawing; only those that succeed are run again and drawn, which for
  experts that often fail saves most of the time (a trial's outcome follows from the trial alone)
- what it makes can be configured without what writes it (vla-data[rlds])
- noise is executed, the clean action recorded (as in DART, Laskey et al. 2017, arXiv:1703.09327)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict, to_dict
from vla_data.engines import run_units
from vla_data.errors import ConfigError, SimError
from vla_data.files import read_json, remove_parts, write_json
from vla_data.images import ImageEncoding
from vla_data.protocols import OnProgress, Progress, SimEnv, no_progress
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import chosen_tasks, gl, instructions, make_env, make_expert
from vla_data.sim.config import CameraView, SimConfig, Wander
from vla_data.sim.placements import placement_seed
from vla_data.types import Episode, Trial

SPLIT = "train"
PLACEMENTS_PER_SEED = 100_000
SEEDS = 1000
WORDING_STREAM = 3


@dataclass(frozen=True)
class GenerateConfig:
    """Which demonstrations to make.

    Args:
        sim, tasks: the simulator and its tasks, or suites of them (`vla_data.sim.chosen_tasks`).
        episodes: successes kept a task.
        seed: picks the placements, 0…999; different seeds share none.
        noise: standard deviation of noise on executed actions, in the action's own numbers.
        steps_after_success: how long the expert goes on.
        cameras: views recorded at every step; None stands for the simulator's usual ones.
        depth: record depth as well.
        labels: record depth, boxes, masks, identities and velocities of the objects (`vla_data.objects`).
        image_encoding: of the shards.
        episodes_per_shard: also the unit of work and of resuming.
        max_attempts: placements tried an episode before giving up.
        version: of the data set; its name is the simulator's.
    """

    sim: str = "metaworld"
    tasks: tuple[str, ...] = ("reach", "button-press-topdown", "drawer-open", "door-open", "window-open")
    episodes: int = 40
    seed: int = 0
    noise: float = 0.1
    steps_after_success: int = 6
    cameras: tuple[CameraView, ...] | None = None
    depth: bool = False
    labels: bool = False
    image_encoding: ImageEncoding = "png"
    episodes_per_shard: int = 10
    max_attempts: int = 10
    version: str = "1.0.0"


TABLE = (0.0, 0.6, 0.1)  # about the middle of Meta-World's table, metres
SCENE_CAMERAS = ("topview", "corner", "corner2", "corner3", "corner4")
SCENE_TASKS = (
    *GenerateConfig.tasks,
    *("push", "pick-place", "drawer-close", "door-close", "faucet-open", "plate-slide", "coffee-button"),
)


def _perception() -> GenerateConfig:
    """Labelled views from all sides, two of them from somewhere else at every step: to train seeing on."""
    fixed = tuple(CameraView(name, name, 96, 96) for name in SCENE_CAMERAS)
    free = tuple(
        CameraView(f"free{fovy}", "corner", 96, 96, Wander(TABLE, fovy=float(fovy))) for fovy in (40, 60)
    )
    cameras = (*fixed, *free)
    return GenerateConfig(tasks=SCENE_TASKS, episodes=2, labels=True, cameras=cameras, episodes_per_shard=1)


def _scenes() -> GenerateConfig:
    """Things on a table, labelled: to learn to talk about."""
    return GenerateConfig(
        "tabletop",
        ("watch",),
        noise=0.0,
        steps_after_success=0,
        cameras=(CameraView("front", "front", 96, 96),),
        labels=True,
        image_encoding="jpeg",
        episodes_per_shard=50,
    )


def _views() -> GenerateConfig:
    """Two halves of the table, each with its own camera: to learn where to look."""
    cameras = tuple(CameraView(name, name) for name in ("table-left", "table-right"))
    tasks = ("button-press-topdown", "dial-turn", "push")
    return GenerateConfig(tasks=tasks, cameras=cameras, labels=True)


USUAL = {"tabletop": "scenes"}  # simulator → the preset that stands for "default"
PRESETS: dict[str, Callable[[], GenerateConfig]] = {
    "default": GenerateConfig,
    "scenes": _scenes,
    "perception": _perception,
    "views": _views,
    "debug": lambda: GenerateConfig(tasks=("reach",), episodes=2, episodes_per_shard=1),
}


@dataclass(frozen=True)
class _Unit:
    """One shard: episodes [·, count) of `task` from placements [first, first + attempts)."""

    config: GenerateConfig
    directory: str
    task: str
    shard: int
    shards: int
    first: int
    count: int

    @property
    def path(self) -> Path:
        from vla_data.formats.rlds import shard_path

        return shard_path(Path(self.directory), self.config.sim, SPLIT, self.shard, self.shards)

    @property
    def receipt(self) -> Path:
        """What the shard took; beside the data set, so that the data set holds nothing of its making."""
        return _records(Path(self.directory)) / f"{self.shard:05d}.json"

    def __str__(self) -> str:
        return f"shard {self.shard} ({self.task})"


def generate(
    config: GenerateConfig,
    out: Path,
    *,
    workers: int | None = None,
    engine: str = "pool",
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Make the data set `out/<sim>/<version>`; shards that are there already are kept.

    `engine` runs the shards, each a unit of work (`vla_data.engines`).

    Returns:
        episodes, steps, attempts, tasks (task → its episodes and attempts), bytes, seconds, directory.

    Raises:
        UnknownNameError: no such simulator, task, camera or engine.
        ConfigError: the directory holds a data set of another configuration, or a number makes no sense.
        SimError: an expert did not succeed often enough, or the simulator has none.
        MissingDependencyError: the engine is not installed.
    """
    begin = time.perf_counter()
    config = replace(config, tasks=chosen_tasks(config.sim, config.tasks))
    directory = Path(out) / config.sim / config.version
    units = _units(config, directory)
    _claim(config, directory)
    waiting = [unit for unit in units if not (unit.path.is_file() and unit.receipt.is_file())]
    total = sum(unit.count for unit in units)
    done = total - sum(unit.count for unit in waiting)
    on_progress(Progress("generate", done, total, "episodes"))
    if waiting and config.cameras != ():
        gl.use_backend()  # once here, so that the workers inherit the answer
    for unit, _ in run_units(_run_unit, waiting, engine, workers=workers):
        done += unit.count
        on_progress(Progress("generate", done, total, "episodes", message=unit.task))
    from vla_data.formats.rlds import finish_dataset

    finish_dataset(directory, description=f"Scripted experts in {config.sim}.")
    return _summary(units, directory, time.perf_counter() - begin)


def _units(config: GenerateConfig, directory: Path) -> list[_Unit]:
    tasks = config.tasks
    per_shard = -(-config.episodes // max(1, config.episodes_per_shard))
    attempts = config.episodes_per_shard * config.max_attempts
    if not (
        tasks
        and config.episodes >= 1
        and attempts >= 1
        and 0 <= config.seed < SEEDS
        and per_shard * attempts <= PLACEMENTS_PER_SEED
    ):
        raise ConfigError(
            "no data set can be generated like this",
            where="GenerateConfig",
            expected=f"a task, an episode and an attempt at least, seed in 0…{SEEDS - 1}, "
            f"episodes × max_attempts within {PLACEMENTS_PER_SEED}",
            got=f"{len(tasks)} tasks, {config.episodes} episodes, {config.max_attempts} attempts, "
            f"seed {config.seed}",
        )
    counts = [
        min(config.episodes_per_shard, config.episodes - i * config.episodes_per_shard)
        for i in range(per_shard)
    ]
    base = config.seed * PLACEMENTS_PER_SEED
    return [
        _Unit(config, str(directory), task, t * per_shard + i, len(tasks) * per_shard, base + i * attempts, n)
        for t, task in enumerate(tasks)
        for i, n in enumerate(counts)
    ]


def _records(directory: Path) -> Path:
    return directory.parent / f".{directory.name}-shards"


def _claim(config: GenerateConfig, directory: Path) -> None:
    """Note the configuration, or compare it with that of an earlier attempt; sweep up after that one."""
    note = _records(directory) / "config.json"
    # Settings that came after an earlier version's attempt stand for their defaults there.
    if note.is_file() and from_dict(GenerateConfig, read_json(note), where=str(note)) != config:
        raise ConfigError(
            "the directory holds a data set of another configuration",
            where=str(directory),
            expected="the configuration it was begun with",
            got=f"another; the first is in {note}",
            next_step="choose another --out, or remove the directory",
        )
    if directory.is_dir():
        remove_parts(directory)
    write_json(note, to_dict(config))


def _summary(units: Sequence[_Unit], directory: Path, seconds: float) -> dict[str, Any]:
    receipts = [(unit.task, read_json(unit.receipt)) for unit in units]
    tasks = {
        task: {key: sum(r[key] for t, r in receipts if t == task) for key in ("episodes", "attempts")}
        for task in dict.fromkeys(task for task, _ in receipts)
    }
    return {
        **{key: sum(r[key] for _, r in receipts) for key in ("episodes", "steps", "attempts")},
        "tasks": tasks,
        "bytes": sum(p.stat().st_size for p in directory.iterdir()),
        "seconds": round(seconds, 3),
        "directory": os.fspath(directory),
    }


@lru_cache(maxsize=2)
def _environment(config: GenerateConfig) -> SimEnv:
    """The environment of a worker process; kept, since building models costs more than a demonstration."""
    tasks = tuple(dict.fromkeys(config.tasks))
    return make_env(config.sim, tasks, SimConfig(cameras=config.cameras), num_envs=1)


def _run_unit(unit: _Unit) -> None:
    """Write one shard, then its receipt."""
    from vla_data.formats.rlds import RldsWriter

    env = _environment(unit.config)
    cameras = {camera.name: camera for camera in env.cameras}
    attempts = steps = kept = 0
    with RldsWriter(
        Path(unit.directory),
        unit.config.sim,
        env.robot,
        cameras,
        version=unit.config.version,
        split=SPLIT,
        shard=(unit.shard, unit.shards),
        image_encoding=unit.config.image_encoding,
    ) as writer:
        while kept < unit.count:
            _require_attempts(unit, attempts, kept)
            episode = _demonstrate(env, unit, unit.first + attempts)
            attempts += 1
            if episode is not None:
                writer.write(episode)
                kept, steps = kept + 1, steps + len(episode)
    write_json(unit.receipt, {"episodes": kept, "steps": steps, "attempts": attempts})


def _require_attempts(unit: _Unit, attempts: int, kept: int) -> None:
    if attempts >= unit.config.episodes_per_shard * unit.config.max_attempts:
        raise SimError(
            "the expert does not succeed often enough",
            where=f"task {unit.task}, shard {unit.shard}",
            expected=f"{unit.count} successes in {attempts} attempts",
            got=f"{kept}",
            next_step="lower the noise, or raise max_attempts",
        )


def _demonstrate(env: SimEnv, unit: _Unit, index: int) -> Episode | None:
    """The episode of a training placement; None when the expert fails there."""
    seed = placement_seed(SPLIT, index)
    wordings = instructions(unit.config.sim, unit.task, "train")
    said = wordings[int(np.random.default_rng([seed, WORDING_STREAM]).integers(len(wordings)))]
    trial = Trial(unit.task, seed, said)
    options = RolloutConfig(
        execute=1,
        noise=unit.config.noise,
        steps_after_success=unit.config.steps_after_success,
        depth=unit.config.depth,
        labels=unit.config.labels,
    )
    expert = make_expert(env)
    if not next(rollout(env, expert, [trial], options)).success:
        return None
    drawn = next(rollout(env, expert, [trial], replace(options, record=True))).episode
    assert drawn is not None
    return replace(drawn, paraphrases=tuple(w for w in wordings if w != said))
