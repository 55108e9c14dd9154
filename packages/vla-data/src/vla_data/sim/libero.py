"""LIBERO: 130 tasks for a Panda arm (Liu et al. 2023, arXiv:2306.03310).

Notable features:
- evaluation seeds stand for the fixed initial states of the published protocol (state = seed modulo their
  number); every other seed draws a placement, so that training never meets an evaluation state
- fixtures vary with NumPy's global generator: it is seeded before every reset (`SimConfig.world_seed` with
  a fixed state, the trial's seed otherwise), so that an outcome does not depend on what was reset before
- pictures are upright and not mirrored; the published data sets hold them turned by 180° from MuJoCo's
  bottom-up rows, which mirrors them

An action is a step of the operational-space controller at 20 Hz: 1 stands for 5 cm or 0.5 rad in world
axes, and a gripper of −1 opens, +1 closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.errors import SimError
from vla_data.registry import lookup
from vla_data.sim.cameras import describe, require_cameras
from vla_data.sim.config import CameraView, SimConfig
from vla_data.sim.libero_names import HORIZONS, initial_states, task_file
from vla_data.sim.libero_setup import libero_envs, seeded
from vla_data.sim.looking import Looker
from vla_data.sim.placements import split_of
from vla_data.types import (
    ActionDim,
    ActionSpec,
    Camera,
    Observation,
    RobotSpec,
    StateDim,
    StepResult,
    Trial,
)

CONTROL_HZ = 20.0
PRIVILEGED = "sim_state"
COLLISION_GROUP = 0
DEFAULT_CAMERAS = (
    CameraView("agentview", "agentview", 128, 128),
    CameraView("robot0_eye_in_hand", "robot0_eye_in_hand", 128, 128),
)

ROBOT = RobotSpec(
    name="libero-panda",
    action=ActionSpec(
        dims=(
            *(ActionDim(f"d{axis}", "position", "delta", "world", "m", 0.05) for axis in "xyz"),
            *(ActionDim(f"dr{axis}", "rotation", "delta", "world", "rad", 0.5) for axis in "xyz"),
            ActionDim("gripper", "gripper", "absolute", "none"),
        ),
        control_hz=CONTROL_HZ,
        rotation="axis_angle",
        gripper_closes=1,
    ),
    state=(
        *(StateDim(f"hand_{axis}", "m") for axis in "xyz"),
        *(StateDim(f"hand_r{axis}", "rad") for axis in "xyz"),
        StateDim("finger_left", "m"),
        StateDim("finger_right", "m"),
    ),
)
NO_OP = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)


@dataclass
class _Slot:
    task: str
    trial: Trial
    env: Any
    sensed: dict[str, np.ndarray]
    steps: int = 0
    ended: bool = False


class LiberoEnv:
    """`num_envs` LIBERO environments behind one object; a `SimEnv`.

    Args:
        tasks: `suite/task`, as `vla_data.sim.task_names("libero")` lists them.
        config: cameras (default: `agentview` and `robot0_eye_in_hand` at 128²), drawing, settling steps and
            the seed of fixtures.
        num_envs: slots.

    Raises:
        UnknownNameError: no such task or camera.
        MissingDependencyError: libero, robosuite or the assets are missing.
    """

    def __init__(self, tasks: Sequence[str], config: SimConfig | None = None, num_envs: int = 1) -> None:
        self.tasks = tuple(tasks)
        self._files = {task: task_file(task) for task in self.tasks}
        self.num_envs = num_envs
        self.robot = ROBOT
        self.config = config or SimConfig()
        views = DEFAULT_CAMERAS if self.config.cameras is None else self.config.cameras
        self._envs = libero_envs()
        self._slots: dict[int, _Slot] = {}
        self._spare: dict[str, list[Any]] = {}
        # Scenes have their cameras in different places: with several tasks each observation says where.
        self._looker = Looker(views, self.config.render, (COLLISION_GROUP,), len(self.tasks) > 1)
        self.cameras = self._describe(views)

    def max_steps(self, task: str) -> int:
        """The cap of the published protocol, settling not counted."""
        return HORIZONS[task.partition("/")[0]]

    def objects(self, slot: int) -> dict[int, str]:
        """Id in segmentation → name of the body."""
        model = self._slot(slot).env.sim.model._model
        return {i: model.body(i).name for i in range(model.nbody)}

    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None:
        """Begin an episode in each slot, settled.

        Raises:
            UnknownNameError: a trial's task is not among `tasks`.
        """
        for slot, trial in zip(slots, trials, strict=True):
            task = lookup("task of this environment", {t: t for t in self.tasks}, trial.task)
            old = self._slots.pop(slot, None)
            if old is not None:
                self._spare.setdefault(old.task, []).append(old.env)
            env = self._take(task)
            self._slots[slot] = _Slot(task, trial, env, self._place(env, task, trial.seed))

    def step(self, slots: Sequence[int], actions: Float32[np.ndarray, "n action_dim"]) -> list[StepResult]:
        """Carry out one action per slot."""
        return [self._step(self._slot(s), action) for s, action in zip(slots, actions, strict=True)]

    def observe(
        self,
        slots: Sequence[int],
        *,
        images: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        privileged: bool = False,
    ) -> list[Observation]:
        """What each slot shows now; only what is asked for is drawn."""
        return [self._observe(self._slot(s), images, depth, segmentation, privileged) for s in slots]

    def close(self) -> None:
        """Free rendering contexts and environments."""
        self._looker.close()
        spare = [env for envs in self._spare.values() for env in envs]
        for env in [*(slot.env for slot in self._slots.values()), *spare]:
            env.close()
        self._slots.clear()
        self._spare.clear()

    def _slot(self, slot: int) -> _Slot:
        if slot not in self._slots:
            raise SimError(
                "a slot was used before its reset",
                where=f"slot {slot}",
                expected=f"reset() of a slot in 0…{self.num_envs - 1} first",
            )
        return self._slots[slot]

    def _describe(self, views: tuple[CameraView, ...]) -> tuple[Camera, ...]:
        if not views:
            return ()
        env = self._take(self.tasks[0])
        self._spare.setdefault(self.tasks[0], []).append(env)
        model, data = env.sim.model._model, env.sim.data._data
        require_cameras(model, views)
        cameras = [describe(model, data, view, CONTROL_HZ) for view in views]
        return tuple(replace(c, pose=None) if len(self.tasks) > 1 else c for c in cameras)

    def _take(self, task: str) -> Any:
        spare = self._spare.get(task)
        if spare:
            return spare.pop()
        with seeded(self.config.world_seed):
            return self._envs.ControlEnv(
                bddl_file_name=str(self._files[task]),
                use_camera_obs=False,
                has_offscreen_renderer=False,
                control_freq=int(CONTROL_HZ),
                ignore_done=True,
            )

    def _place(self, env: Any, task: str, seed: int) -> dict[str, np.ndarray]:
        fixed = split_of(seed) == "eval"
        with seeded(self.config.world_seed if fixed else seed):
            sensed = env.reset()
            if fixed:
                states = initial_states(task)
                sensed = env.set_init_state(states[seed % len(states)])
            for _ in range(self.config.settle_steps):
                sensed = env.step(NO_OP)[0]
        return sensed

    def _step(self, slot: _Slot, action: np.ndarray) -> StepResult:
        if slot.ended:
            return StepResult(0.0, False, ended=True)
        slot.sensed, reward, success, _ = slot.env.step(np.asarray(action, np.float64))
        slot.steps += 1
        slot.ended = slot.steps >= self.max_steps(slot.task)
        return StepResult(float(reward), bool(success), slot.ended)

    def _observe(
        self, slot: _Slot, images: bool, depth: bool, segmentation: bool, privileged: bool
    ) -> Observation:
        model, data = slot.env.sim.model._model, slot.env.sim.data._data
        seen = self._looker.look(
            slot.task, model, data, images=images, depth=depth, segmentation=segmentation
        )
        return Observation(
            time=slot.steps / CONTROL_HZ,
            images=seen.images,
            state=_state(slot.sensed),
            instruction=slot.trial.instruction,
            depth=seen.depth,
            segmentation=seen.segmentation,
            poses=seen.poses,
            privileged={PRIVILEGED: np.array(slot.env.get_sim_state())} if privileged else {},
        )


def _state(sensed: dict[str, np.ndarray]) -> Float32[np.ndarray, "8"]:
    """Position, axis-angle and finger positions of the hand."""
    x, y, z, w = sensed["robot0_eef_quat"]
    sine = float(np.linalg.norm([x, y, z]))
    angle = 2 * np.arctan2(sine, w)
    turn = np.array([x, y, z]) * (angle / sine if sine > 1e-9 else 0.0)
    parts = [sensed["robot0_eef_pos"], turn, sensed["robot0_gripper_qpos"]]
    return np.concatenate(parts).astype(np.float32)
