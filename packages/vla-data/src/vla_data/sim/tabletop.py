"""A table with plain things on it, some of them gliding: scenes to look at, with every truth known.

Notable features:
- up to six of twelve things (three shapes in four colours, each at most once), none touching another on its
  way; a placement follows from `Trial.seed` alone
- no robot acts: the one movable part is a camera that pans and tilts (`head`); the others are fixed
- one small model without meshes: a picture costs a millisecond

One action is 0.1 s: the head turns by up to 10° about each axis.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_data.errors import MissingDependencyError
from vla_data.objects import ObjectName
from vla_data.phases import Phase
from vla_data.registry import lookup
from vla_data.sim import gl
from vla_data.sim.cameras import require_cameras
from vla_data.sim.config import CameraView, SimConfig
from vla_data.sim.looking import Looker, describe
from vla_data.sim.slots import Slot, SlotEnv
from vla_data.sim.truth import SceneObjects
from vla_data.types import (
    ActionChunk,
    ActionDim,
    ActionSpec,
    InputSpec,
    Observation,
    ObservationWindow,
    RobotSpec,
    StateDim,
    StepResult,
)

CONTROL_HZ, SUB_STEPS, MAX_STEPS = 10.0, 10, 8
COLOURS = {"red": "0.85 0.1 0.1", "green": "0.1 0.65 0.15", "blue": "0.1 0.25 0.9", "yellow": "0.95 0.8 0.1"}
SHAPES = {
    "ball": 'type="sphere" size="0.045"',
    "block": 'type="box" size="0.04 0.04 0.04"',
    "can": 'type="cylinder" size="0.034 0.055"',
}
HEIGHTS = {"ball": 0.045, "block": 0.04, "can": 0.055}  # of the centre above the table, metres
THINGS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
FEWEST, MOST = 2, 6
REACH = 0.42  # from the middle of the table to where a centre may be, metres
APART = 0.13  # least distance of two centres at any moment, metres
SLOWEST, FASTEST = 0.08, 0.4  # of what moves, m/s
MOVING = 0.4  # share of things that move, beside one that always does
TRIES = 1000
TURN = float(np.deg2rad(10))
PARKED = -5.0  # height of what is not in the scene, metres
PRIVILEGED = "things"  # position and rotation of each
TASKS = {"watch": MOVING, "still": 0.0}  # → share of things that move
DEFAULT_CAMERAS = (CameraView("front", "front"),)

ROBOT = RobotSpec(
    name="tabletop-head",
    action=ActionSpec(
        tuple(ActionDim(n, "joint", "delta", "joint", "rad", TURN) for n in ("pan", "tilt")), CONTROL_HZ
    ),
    state=(StateDim("pan", "rad"), StateDim("tilt", "rad")),
)


@dataclass(eq=False)
class _Table:
    """A model and its state."""

    model: Any
    data: Any


class TabletopEnv(SlotEnv):
    """`num_envs` tables behind one object; a `SimEnv` and a `LabelledEnv`.

    Args:
        tasks: "watch", or "still", where nothing moves; both succeed when their time is over.
        config: cameras (default: `front` at 64²; `left`, `right` and `head` are there too) and drawing.
        num_envs: slots.

    Raises:
        UnknownNameError: no such task or camera.
        MissingDependencyError: MuJoCo is not installed.
    """

    def __init__(self, tasks: Sequence[str], config: SimConfig | None = None, num_envs: int = 1) -> None:
        named = tuple(lookup("tabletop task", {t: t for t in TASKS}, task) for task in tasks)
        self.robot = ROBOT
        self.config = config or SimConfig()
        views = DEFAULT_CAMERAS if self.config.cameras is None else self.config.cameras
        self._mujoco = _mujoco()
        looker = Looker(views, self.config.render)
        super().__init__(named, num_envs, looker, len(THINGS), self.config.perturbation)
        table = self._take(self.tasks[0])
        self._give_back(self.tasks[0], table)
        require_cameras(table.model, views)
        self.cameras = tuple(describe(table.model, table.data, view, CONTROL_HZ) for view in views)

    def max_steps(self, task: str) -> int:
        """0.8 s."""
        return MAX_STEPS

    def _build(self, task: str) -> _Table:
        model = self._mujoco.MjModel.from_xml_string(model_xml())
        data = self._mujoco.MjData(model)
        self._mujoco.mj_forward(model, data)
        return _Table(model, data)

    def _place(self, env: _Table, task: str, seed: int) -> None:
        self._mujoco.mj_resetData(env.model, env.data)
        places = np.zeros((len(THINGS), 7))
        places[:, 0], places[:, 2], places[:, 3] = np.arange(len(THINGS)), PARKED, 1.0
        moves = np.zeros((len(THINGS), 6))
        rng = np.random.default_rng(seed)
        chosen, where, speed = scene(rng, TASKS[task])
        for row, place, velocity in zip(chosen, where, speed, strict=True):
            turn = rng.uniform(0, np.pi)
            places[row] = [*place, HEIGHTS[THINGS[row].split()[1]], np.cos(turn / 2), 0, 0, np.sin(turn / 2)]
            moves[row, :2] = velocity
        env.data.qpos[2:], env.data.qvel[2:] = places.reshape(-1), moves.reshape(-1)
        self._mujoco.mj_forward(env.model, env.data)

    def _physics(self, env: _Table) -> tuple[Any, Any]:
        return env.model, env.data

    def _find_objects(self, model: Any, task: str) -> SceneObjects:
        named = {model.body(thing).id: ObjectName(thing, thing) for thing in THINGS}
        return SceneObjects(model, named, self.object_rows)

    def _free(self, env: _Table) -> None:
        """Nothing to close."""

    def _step(self, slot: Slot, action: np.ndarray) -> StepResult:
        data = slot.env.data
        data.qvel[:2] = np.clip(action, -1, 1) * TURN * CONTROL_HZ
        for _ in range(SUB_STEPS):
            self._mujoco.mj_step(slot.env.model, data)
        data.qvel[:2] = 0
        self._mujoco.mj_forward(slot.env.model, data)
        slot.steps += 1
        slot.ended = slot.steps >= MAX_STEPS
        return StepResult(0.0, slot.ended, slot.ended)

    def _observe(
        self, slot: Slot, images: bool, depth: bool, segmentation: bool, privileged: bool
    ) -> Observation:
        seen = self._seen(slot, images, depth, segmentation)
        return Observation(
            time=slot.steps / CONTROL_HZ,
            images=seen.images,
            state=np.array(slot.env.data.qpos[:2], np.float32),
            instruction=slot.trial.instruction,
            depth=seen.depth,
            segmentation=seen.segmentation,
            poses=seen.poses,
            places={name: place.name for name, place in slot.places.items()},
            privileged={PRIVILEGED: slot.env.data.qpos[2:].copy()} if privileged else {},
        )


class Onlooker:
    """Keeps the head still; the "expert" of watching. A `Policy`."""

    def __init__(self, env: TabletopEnv) -> None:
        self.input_spec = InputSpec(env.robot, cameras=(), action_horizon=1, instruction=False)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Nothing to begin anew."""

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """No motion."""
        return [ActionChunk(np.zeros((1, 2), np.float32), ROBOT.action) for _ in windows]

    def phases(self, slots: Sequence[int]) -> list[Phase]:
        """One phase."""
        return [Phase(0, "watch") for _ in slots]


def scene(rng: np.random.Generator, moving: float = MOVING) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the things of a scene, where they begin [n, 2] and how they move [n, 2], metres and m/s."""
    count = int(rng.integers(FEWEST, MOST + 1))
    chosen = rng.permutation(len(THINGS))[:count]
    times = np.linspace(0, MAX_STEPS / CONTROL_HZ, 5)[:, None, None]
    for _ in range(TRIES):
        where = rng.uniform(-REACH, REACH, (count, 2))
        moves = rng.random(count) < moving
        moves[0] = moving > 0
        angle, pace = rng.uniform(0, 2 * np.pi, count), rng.uniform(SLOWEST, FASTEST, count)
        speed = np.where(moves, pace, 0)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        paths = where + times * speed
        gaps = np.linalg.norm(paths[:, :, None] - paths[:, None], axis=-1) + 9 * np.eye(count)
        if gaps.min() >= APART and np.abs(paths).max() <= REACH:
            return chosen, where, speed
    return chosen[:1], np.zeros((1, 2)), np.zeros((1, 2))


def model_xml() -> str:
    """The model: things glide without weight or touch, what is not in a scene lies far below."""
    bodies = "".join(
        f'<body name="{colour} {shape}"><freejoint/><geom {form} mass="0.1" rgba="{rgb} 1"/></body>'
        for colour, rgb in COLOURS.items()
        for shape, form in SHAPES.items()
    )
    return f"""<mujoco><option timestep="{1 / CONTROL_HZ / SUB_STEPS}" gravity="0 0 0"/>
<default><geom contype="0" conaffinity="0"/></default>
<visual><headlight ambient="0.4 0.4 0.4" diffuse="0.5 0.5 0.5"/><map znear="0.01" zfar="10"/></visual>
<statistic extent="2" center="0 0 0"/>
<worldbody>
<light pos="0.4 -0.6 1.5" dir="-0.3 0.4 -1" diffuse="0.4 0.4 0.4"/>
<geom type="box" size="0.6 0.6 0.02" pos="0 0 -0.02" rgba="0.55 0.42 0.3 1"/>
<geom type="plane" size="30 30 0.1" pos="0 0 -0.7" rgba="0.25 0.27 0.3 1"/>
<camera name="front" pos="0 -1.15 0.85" xyaxes="1 0 0 0 0.6 0.8" fovy="48"/>
<camera name="left" pos="-1.15 0 0.85" xyaxes="0 -1 0 0.6 0 0.8" fovy="48"/>
<camera name="right" pos="1.15 0 0.85" xyaxes="0 1 0 -0.6 0 0.8" fovy="48"/>
<body name="neck" pos="0 -1.15 0.85"><joint name="pan" axis="0 0 1"/><geom size="0.01" rgba="0 0 0 0"/>
<body name="head"><joint name="tilt" axis="1 0 0"/><geom size="0.01" rgba="0 0 0 0"/>
<camera name="head" xyaxes="1 0 0 0 0.6 0.8" fovy="48"/></body></body>
{bodies}
</worldbody></mujoco>"""


def _mujoco() -> Any:
    gl.require_named()
    try:
        gl.load_triton_first()
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise MissingDependencyError(
            "MuJoCo is not installed", got=str(error), next_step="install vla-data[sim]"
        ) from error
