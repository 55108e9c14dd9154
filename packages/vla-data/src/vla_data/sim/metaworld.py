"""Meta-World v3: fifty tasks for one simulated arm (Yu et al. 2019, arXiv:1910.10897; wheel 3.1).

Notable features:
- a slot changes its task at any reset; models are built when first needed and then kept
- a placement follows from `Trial.seed` alone: simulation data are cleared before the reset, because the
  simulator's own reset draws twice and starts from what the last episode left
- the state is what the robot's encoders give: hand position and gripper opening, never an object
- pictures show the goal where it is: the first frame after the simulator's own reset shows the goal of the
  draw before, until kinematics run once more

One action is 1/80 s: the target of the hand moves by up to 1 cm a axis in world axes (`SawyerXYZEnv`:
`action_scale` 1/100, five steps of 2.5 ms), and the gripper is driven with −1 (open) … +1 (close).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vla_data.errors import MissingDependencyError
from vla_data.phases import Phase
from vla_data.registry import lookup
from vla_data.sim import gl
from vla_data.sim.branches import Branching, branching
from vla_data.sim.cameras import require_cameras
from vla_data.sim.config import CameraView, SimConfig
from vla_data.sim.looking import Looker, describe
from vla_data.sim.object_names import METAWORLD_ROWS, metaworld_objects
from vla_data.sim.phase_texts import phase_texts
from vla_data.sim.slots import Slot, SlotEnv
from vla_data.sim.truth import SceneObjects
from vla_data.sim.views import METAWORLD_VIEWS, resolved
from vla_data.sim.wordings import METAWORLD
from vla_data.types import (
    ActionChunk,
    ActionDim,
    ActionSpec,
    Camera,
    InputSpec,
    Observation,
    ObservationWindow,
    RobotSpec,
    StateDim,
    StepResult,
)

CONTROL_HZ = 80.0
MAX_STEPS = 500
TASKS = tuple(METAWORLD)
PRIVILEGED = "state_vector"
DEFAULT_CAMERAS = (CameraView("corner4", "corner4"), CameraView("gripperPOV", "gripperPOV"))

ROBOT = RobotSpec(
    name="metaworld-sawyer",
    action=ActionSpec(
        dims=(
            *(ActionDim(f"d{axis}", "position", "delta", "world", "m", 0.01) for axis in "xyz"),
            ActionDim("gripper", "gripper", "absolute", "none"),
        ),
        control_hz=CONTROL_HZ,
        gripper_closes=1,
    ),
    state=(*(StateDim(f"hand_{axis}", "m") for axis in "xyz"), StateDim("gripper_opening")),
    workspace=((-0.5, 0.5), (0.35, 1.0), (-0.15, 0.5)),  # the widest that any task lets the hand go
)


class MetaWorldEnv(SlotEnv):
    """`num_envs` Meta-World environments behind one object; a `SimEnv`.

    Args:
        tasks: the tasks its trials may name, without the version suffix ("reach", "drawer-open").
        config: cameras (default: `corner4` and `gripperPOV` at 64²; besides the simulator's own those of
            `vla_data.sim.views`) and drawing.
        num_envs: slots.

    Raises:
        UnknownNameError: no such task or camera.
        MissingDependencyError: metaworld is not installed.
    """

    def __init__(self, tasks: Sequence[str], config: SimConfig | None = None, num_envs: int = 1) -> None:
        known = {task: task for task in TASKS}
        named = tuple(lookup("Meta-World task", known, task) for task in tasks)
        self.robot = ROBOT
        self.config = config or SimConfig()
        asked = DEFAULT_CAMERAS if self.config.cameras is None else self.config.cameras
        views = tuple(resolved(view, METAWORLD_VIEWS) for view in asked)
        self._classes = _environment_classes()
        looker = Looker(views, self.config.render)
        super().__init__(named, num_envs, looker, METAWORLD_ROWS, self.config.perturbation)
        self.cameras = self._describe(views)

    def max_steps(self, task: str) -> int:
        """The horizon of the benchmark."""
        return MAX_STEPS

    def placement(self, slot: int) -> np.ndarray:
        """The vector that the placement was drawn as, float64."""
        return np.array(self._slot(slot).env._last_rand_vec)

    def _describe(self, views: tuple[CameraView, ...]) -> tuple[Camera, ...]:
        """All fifty models hold the same cameras, so that the first task's stand for all."""
        if not views:
            return ()
        env = self._take(self.tasks[0])
        self._give_back(self.tasks[0], env)
        require_cameras(env.model, views)
        return tuple(describe(env.model, env.data, view, CONTROL_HZ) for view in views)

    def _build(self, task: str) -> Any:
        return _build(self._classes[f"{task}-v3"])

    def _place(self, env: Any, task: str, seed: int) -> np.ndarray:
        return _reset(env, seed)

    def _perturb(self, slot: Slot) -> None:
        super()._perturb(slot)
        slot.env.curr_path_length = 0  # what it counts to its horizon

    def _physics(self, env: Any) -> tuple[Any, Any]:
        return env.model, env.data

    def _find_objects(self, model: Any, task: str) -> SceneObjects:
        return SceneObjects(model, metaworld_objects(model, task), self.object_rows)

    def _free(self, env: Any) -> None:
        """Nothing to close: its own renderer is never made."""

    def _goes_on(self, slot: Slot, task: str) -> bool:
        if slot.trial.task != task:
            return False
        slot.env.curr_path_length = 0
        return True

    def _step(self, slot: Slot, action: np.ndarray) -> StepResult:
        vector, reward, _, truncated, info = slot.env.step(np.asarray(action, np.float32))
        slot.sensed, slot.steps, slot.ended = vector, slot.steps + 1, bool(truncated)
        return StepResult(float(reward), bool(info["success"]), slot.ended)

    def _observe(
        self, slot: Slot, images: bool, depth: bool, segmentation: bool, privileged: bool
    ) -> Observation:
        seen = self._seen(slot, images, depth, segmentation)
        return Observation(
            time=slot.steps / CONTROL_HZ,
            images=seen.images,
            state=slot.sensed[:4].astype(np.float32),
            instruction=slot.trial.instruction,
            depth=seen.depth,
            segmentation=seen.segmentation,
            poses=seen.poses,
            places={name: place.name for name, place in slot.places.items()},
            privileged={PRIVILEGED: slot.sensed.copy()} if privileged else {},
        )


class MetaWorldExpert:
    """The scripted experts of the wheel as one privileged `Policy`; an expert knows its slot's task.

    Args:
        env: where it acts; tells the task of a slot.
    """

    def __init__(self, env: MetaWorldEnv) -> None:
        self._env = env
        self._experts = importlib.import_module("metaworld.policies").ENV_POLICY_MAP
        self._by_slot: dict[int, tuple[Any, Branching, tuple[str, ...]]] = {}
        self._phases: dict[int, tuple[int, int]] = {}
        self.input_spec = InputSpec(
            env.robot, cameras=(), action_horizon=1, instruction=False, privileged=True
        )

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin anew with each slot's task; the experts draw no random numbers."""
        for slot in slots:
            task = self._env.current_task(slot)
            expert = branching(self._experts[f"{task}-v3"])
            self._by_slot[slot] = expert.policy(), expert, phase_texts(task)

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """One action for each window, clipped to the range."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they warn at each action outside the range
            return [self._act(window) for window in windows]

    def phases(self, slots: Sequence[int]) -> list[Phase]:
        """Where each slot's last action came from: 10 × the branch of the target + that of the gripper."""
        found = [(self._by_slot[slot][2], *self._phases[slot]) for slot in slots]
        return [Phase(10 * target + gripper, texts[target]) for texts, target, gripper in found]

    def _act(self, window: ObservationWindow) -> ActionChunk:
        vector = window.latest.privileged[PRIVILEGED]
        policy, expert, _ = self._by_slot[window.slot]
        action = policy.get_action(vector)
        self._phases[window.slot] = expert.taken["target"], expert.taken["gripper"]
        spec = self._env.robot.action
        return ActionChunk(np.clip(action, spec.low, spec.high)[None].astype(np.float32), spec)


def _environment_classes() -> Mapping[str, type]:
    gl.require_named()
    try:
        gl.load_triton_first()  # this imports MuJoCo
        return importlib.import_module("metaworld.env_dict").ALL_V3_ENVIRONMENTS
    except ImportError as error:
        raise MissingDependencyError(
            "Meta-World is not installed", got=str(error), next_step="install vla-data[sim]"
        ) from error


def _build(kind: type) -> Any:
    """An environment whose goal is observable (experts read it) and whose placement follows its seed."""
    env: Any = kind()
    env._set_task_called = True
    env._partially_observable = False
    env.__dict__.pop("sawyer_observation_space", None)
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    return env


def _reset(env: Any, seed: int) -> np.ndarray:
    """Clear, place and settle; the 39 numbers that experts read."""
    mujoco: Any = importlib.import_module("mujoco")
    mujoco.mj_resetData(env.model, env.data)
    env.seed(seed)
    vector, _ = env.reset()
    mujoco.mj_kinematics(env.model, env.data)
    return vector
