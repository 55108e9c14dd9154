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
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from vla_data.sim.cameras import require_cameras
from vla_data.sim.config import CameraView, SimConfig
from vla_data.sim.libero_names import HORIZONS, initial_states, task_file
from vla_data.sim.libero_setup import libero_envs, read_problem, seeded
from vla_data.sim.looking import Looker, describe
from vla_data.sim.object_names import LIBERO_ROWS, libero_objects
from vla_data.sim.placements import split_of
from vla_data.sim.slots import Slot, SlotEnv
from vla_data.sim.truth import SceneObjects
from vla_data.types import (
    ActionDim,
    ActionSpec,
    Camera,
    Observation,
    RobotSpec,
    StateDim,
    StepResult,
)

CONTROL_HZ = 20.0
PRIVILEGED = "sim_state"
COLLISION_GROUP = 0
# What makes a scene in LIBERO's reading of a task file; the rest is goal and words.
SCENE = ("problem_name", "fixtures", "regions", "objects", "scene_properties", "initial_state")
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


class LiberoEnv(SlotEnv):
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
        self._files = {task: task_file(task) for task in tasks}
        self._problems: dict[str, dict[str, Any]] = {}  # by task, as LIBERO reads its file
        self.robot = ROBOT
        self.config = config or SimConfig()
        views = DEFAULT_CAMERAS if self.config.cameras is None else self.config.cameras
        self._envs = libero_envs()
        # Scenes have their cameras in different places: with several tasks each observation says where.
        looker = Looker(views, self.config.render, (COLLISION_GROUP,), len(tasks) > 1)
        super().__init__(tuple(tasks), num_envs, looker, LIBERO_ROWS, self.config.perturbation)
        self.cameras = self._describe(views)

    def max_steps(self, task: str) -> int:
        """The cap of the published protocol, settling not counted."""
        return HORIZONS[task.partition("/")[0]]

    def inside(self, slot: int) -> tuple[Any, Any, Any]:
        """For a scripted expert: MuJoCo's model and data of a slot, and the facts that make its goal."""
        env = self._slot(slot).env
        return *self._physics(env), env.env.parsed_problem["goal_state"]

    def went_on(self, slot: int) -> bool:
        """For a scripted expert: whether the hand begins where another trial left it."""
        return self._slot(slot).went_on

    def _describe(self, views: tuple[CameraView, ...]) -> tuple[Camera, ...]:
        if not views:
            return ()
        env = self._take(self.tasks[0])
        self._give_back(self.tasks[0], env)
        model, data = self._physics(env)
        require_cameras(model, views)
        cameras = [describe(model, data, view, CONTROL_HZ) for view in views]
        return tuple(replace(c, pose=None) if len(self.tasks) > 1 else c for c in cameras)

    def _build(self, task: str) -> Any:
        with seeded(self.config.world_seed):
            return self._envs.ControlEnv(
                bddl_file_name=str(self._files[task]),
                use_camera_obs=False,
                has_offscreen_renderer=False,
                control_freq=int(CONTROL_HZ),
                ignore_done=True,
            )

    def _physics(self, env: Any) -> tuple[Any, Any]:
        return env.sim.model._model, env.sim.data._data

    def _find_objects(self, model: Any, task: str) -> SceneObjects:
        return SceneObjects(model, libero_objects(model), self.object_rows, (COLLISION_GROUP,))

    def _free(self, env: Any) -> None:
        env.close()

    def _place(self, env: Any, task: str, seed: int) -> dict[str, np.ndarray]:
        fixed = split_of(seed) == "eval"
        own = self._problem(task)["goal_state"]
        env.env.parsed_problem["goal_state"] = own  # it may have another's
        with seeded(self.config.world_seed if fixed else seed):
            sensed = env.reset()
            if fixed:
                states = initial_states(task)
                sensed = env.set_init_state(states[seed % len(states)])
            for _ in range(self.config.settle_steps):
                sensed = env.step(NO_OP)[0]
        return sensed

    def _goes_on(self, slot: Slot, task: str) -> bool:
        """A goal is all in which the tasks of one scene differ."""
        known, wanted = self._problem(slot.task), self._problem(task)
        if any(known[part] != wanted[part] for part in SCENE):
            return False
        slot.env.env.parsed_problem["goal_state"] = wanted["goal_state"]
        return True

    def _problem(self, task: str) -> dict[str, Any]:
        if task not in self._problems:
            self._problems[task] = read_problem(self._files[task])
        return self._problems[task]

    def _step(self, slot: Slot, action: np.ndarray) -> StepResult:
        slot.sensed, reward, success, _ = slot.env.step(np.asarray(action, np.float64))
        slot.steps += 1
        slot.ended = slot.steps >= self.max_steps(slot.task)
        return StepResult(float(reward), bool(success), slot.ended)

    def _observe(
        self, slot: Slot, images: bool, depth: bool, segmentation: bool, privileged: bool
    ) -> Observation:
        seen = self._seen(slot, images, depth, segmentation)
        return Observation(
            time=slot.steps / CONTROL_HZ,
            images=seen.images,
            state=_state(slot.sensed),
            instruction=slot.trial.instruction,
            depth=seen.depth,
            segmentation=seen.segmentation,
            poses=seen.poses,
            places={name: place.name for name, place in slot.places.items()},
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
