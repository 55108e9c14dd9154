"""Roll-out clips: a trial run again with a camera beside it.

Outcomes are fixed by the trial, so the clip shows exactly what the table counted, and nothing extra is
rendered while counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from vla_data.pool import map_units
from vla_data.protocols import OnProgress, Progress, SimEnv, no_progress
from vla_data.sim import CameraView
from vla_data.types import Image, StepResult
from vla_data.video import write_mp4
from vla_model.driving import arm_cameras, drive, make_policy, open_env, trials_of
from vla_model.eval_config import UNTRAINED, Arm, EvalConfig
from vla_model.evaluate import EvalResult

FILM = "film"
FILM_CAMERAS = {
    "metaworld": CameraView(FILM, "corner2", 256, 256),
    "libero": CameraView(FILM, "agentview", 256, 256),
}
FRAME_RATE = 20.0


@dataclass(frozen=True)
class Clip:
    """A trial to film, and where the film goes."""

    arm: Arm
    config: EvalConfig
    task: str
    index: int
    success: bool
    instruction: str
    path: str


def choose_clips(arms: Sequence[Arm], config: EvalConfig, result: EvalResult, out: Path) -> list[Clip]:
    """The first success and the first failure of each task, for every arm that is a trained policy."""
    clips = []
    for arm in arms:
        if arm.policy in UNTRAINED:
            continue
        for task in config.tasks:
            for success in (True, False):
                records = [r for r in result.records[arm.name] if r.task == task and r.success == success]
                if records:
                    name = f"{arm.slug}-{task}-{'success' if success else 'failure'}.mp4"
                    path = str(out / "clips" / name)
                    first = records[0]
                    clips.append(Clip(arm, config, task, first.index, success, first.instruction, path))
    return clips


def film(clips: Sequence[Clip], *, workers: int | None = None, on_progress: OnProgress = no_progress) -> None:
    """Film the clips that are not there yet."""
    waiting = [c for c in clips if not Path(c.path).is_file()]
    for done, _ in enumerate(map_units(_film_one, waiting, workers), start=1):
        on_progress(Progress("film", done, len(waiting), "clips"))


def _film_one(clip: Clip) -> None:
    config = clip.config
    if clip.arm.policy not in UNTRAINED:
        import torch

        torch.set_num_threads(config.threads)
    cameras = (*arm_cameras(clip.arm), FILM_CAMERAS[config.sim])
    filmed = _Filmed(open_env(config, cameras, clip.arm.perturbation))
    env = cast(SimEnv, filmed)  # all that it does not do itself, the environment inside does
    (trial,) = trials_of(clip.arm, config, clip.task, clip.index, clip.index + 1)
    drive(env, make_policy(clip.arm, env), config, trial)
    write_mp4(Path(clip.path), filmed.frames, FRAME_RATE)


class _Filmed:
    """A `SimEnv` of one slot that keeps frames of its film camera at about FRAME_RATE."""

    def __init__(self, env: SimEnv) -> None:
        self._env = env
        self._every = max(1, round(env.robot.action.control_hz / FRAME_RATE))
        self._steps = 0
        self.frames: list[Image] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, slots: Sequence[int], actions: np.ndarray) -> list[StepResult]:
        if self._steps % self._every == 0:
            self._keep()
        self._steps += 1
        results = self._env.step(slots, actions)
        if results[0].success or results[0].ended:
            self._keep()
        return results

    def _keep(self) -> None:
        self.frames.append(self._env.observe([0])[0].images[FILM])
