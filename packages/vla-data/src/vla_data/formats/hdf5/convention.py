"""What the numbers and images of a file of demonstrations mean, as far as the file itself says.

- robosuite's files (robomimic, LIBERO) carry `env_args`: robot, control rate, controller and its scale
- LIBERO's `ee_states` and `gripper_states` are the eight numbers of `vla_data.sim.libero`, and its robot
- robosuite draws pictures from the bottom up unless told otherwise. LIBERO stored them so, and says so in
  `macros_image_convention` ("opengl"); its own tools and everyone who trains on it turn them. They are turned
  upright here, which loses nothing, and `image_rows` in the metadata says so. robomimic turned them itself.
- LIBERO recorded each observation after its action was executed: step t shows what action t led to
- robosuite's depth is the buffer of the renderer, not metres: it is no `Episode.depth`, and left out, as is
  the simulator's own state, whose width differs from task to task
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.formats.hdf5.store import member, names, read_object, read_text
from vla_data.formats.unknown import SERIES_LIMIT, unknown_robot
from vla_data.openx.standard import ASSUMED_HZ
from vla_data.types import ActionDim, ActionSpec, Camera, RobotSpec, StateDim

LIBERO_STATE = ("obs/ee_states", "obs/gripper_states")
ROBOSUITE_STATE = ("obs/robot0_eef_pos", "obs/robot0_eef_quat", "obs/robot0_gripper_qpos")
STATE_UNITS = {"obs/robot0_eef_pos": "m", "obs/robot0_gripper_qpos": "m"}
ROLES = {"agentview": "primary", "robot0_eye_in_hand": "wrist", "eye_in_hand": "wrist"}
RENAMED = {"rewards": "reward", "dones": "done"}
LEFT_OUT = ("actions", "states")


@dataclass(frozen=True)
class Stored:
    """A data set of a demonstration: dtype and shape of one step."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def is_picture(self) -> bool:
        return self.dtype == "uint8" and len(self.shape) == 3 and self.shape[2] == 3

    @property
    def is_series(self) -> bool:
        width = int(np.prod(self.shape, dtype=np.int64))
        return np.dtype(self.dtype).kind in "biuf" and len(self.shape) < 3 and 0 < width <= SERIES_LIMIT


@dataclass(frozen=True)
class Convention:
    """How the demonstrations of a data set are read.

    Args:
        state: data sets that are the state, joined.
        pictures: our camera name → data set.
        series: our name → data set.
        bottom_up: rows of images start at the bottom.
        assumed: nothing is known of the control rate.
    """

    robot: RobotSpec
    state: tuple[str, ...]
    pictures: Mapping[str, str]
    cameras: Mapping[str, Camera]
    series: Mapping[str, str]
    bottom_up: bool
    assumed: bool

    @property
    def roles(self) -> dict[str, str]:
        """Data set → what it is in this suite's vocabulary."""
        named = {"actions": "action"} | dict.fromkeys(self.state, "state")
        named |= {key: f"camera {name}" for name, key in self.pictures.items()}
        return named | {key: f"series {name}" for name, key in self.series.items()}


def find_convention(data: Any, stored: Mapping[str, Stored]) -> Convention:
    """The convention of a file's group `data`; `stored` is what all demonstrations have in common."""
    arguments = read_object(data, "env_args")
    kwargs = arguments.get("env_kwargs") if isinstance(arguments.get("env_kwargs"), dict) else {}
    assert isinstance(kwargs, dict)
    libero = all(k in stored for k in LIBERO_STATE)
    keys = LIBERO_STATE if libero else ROBOSUITE_STATE
    state = tuple(k for k in keys if k in stored and stored[k].is_series)
    hz = _rate(kwargs.get("control_freq"))
    robot = _robot(kwargs, stored, state, libero, hz or ASSUMED_HZ)
    pictures = {_camera_name(k): k for k, s in stored.items() if k.startswith("obs/") and s.is_picture}
    rows = read_text(data, "macros_image_convention")
    taken = {*state, *LEFT_OUT}
    rate = robot.action.control_hz
    sizes = {n: stored[k].shape for n, k in pictures.items()}
    return Convention(
        robot,
        state,
        pictures,
        {n: Camera(n, width, height, frame_rate=rate) for n, (height, width, _) in sizes.items()},
        {_series_name(k): k for k, s in stored.items() if s.is_series and k not in taken},
        bottom_up=rows == "opengl" or (rows is None and libero),
        assumed=hz is None and not libero,
    )


def instruction_of(data: Any, demo: Any, path: Path) -> str:
    """What a demonstration was asked for: by itself, by its file, or by the name LIBERO gives a file."""
    problem, arguments = read_object(data, "problem_info"), read_object(data, "env_args")
    found = read_object(demo, "ep_meta").get("lang") or problem.get("language_instruction")
    found = found or arguments.get("env_lang") or arguments.get("lang")
    if isinstance(found, list):
        found = "".join(map(str, found))
    if isinstance(found, str) and found:
        return found.strip().strip('"')
    if not path.stem.endswith("_demo"):
        return ""
    return re.sub(r"^[A-Z_]+SCENE\d+_", "", path.stem.removesuffix("_demo")).replace("_", " ")


def stored_in(demo: Any) -> dict[str, Stored]:
    """Every data set of a demonstration that leads with T, `next_obs` apart."""
    found = {}
    observed = member(demo, "obs")
    keys = [n for n in names(demo) if n not in ("obs", "next_obs")]
    keys += [f"obs/{n}" for n in names(observed)] if observed is not None else []
    for key in keys:
        node = member(demo, key)
        if getattr(node, "shape", ()) and hasattr(node, "dtype"):
            found[key] = Stored(node.dtype.name, tuple(node.shape[1:]))
    return found


def _rate(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and 0 < value < 1e6 else None


def _robot(
    kwargs: Mapping[str, Any], stored: Mapping[str, Stored], state: tuple[str, ...], libero: bool, hz: float
) -> RobotSpec:
    width = stored["actions"].shape[0] if len(stored["actions"].shape) == 1 else 1
    names = [(k, int(np.prod(stored[k].shape))) for k in state]
    dims = tuple(
        StateDim(f"{k.removeprefix('obs/')}_{i}", STATE_UNITS.get(k, "1")) for k, n in names for i in range(n)
    )
    if libero and width == 7 and len(dims) == 8:
        from vla_data.sim.libero import ROBOT

        return ROBOT
    scale = _osc_scale(kwargs.get("controller_configs"), width)
    if scale is None:
        found = unknown_robot(width, [d.name for d in dims], hz, str(kwargs.get("robots") or "unknown"))
        return RobotSpec(_robot_name(kwargs), found.action, dims)
    return RobotSpec(_robot_name(kwargs), _osc_action(scale, hz), dims)


def _robot_name(kwargs: Mapping[str, Any]) -> str:
    robots = kwargs.get("robots")
    first = robots[0] if isinstance(robots, list) and robots else robots
    return f"robosuite-{first.lower()}" if isinstance(first, str) and first else "unknown"


def _osc_scale(controller: Any, width: int) -> tuple[float, ...] | None:
    """What 1.0 stands for in each axis of robosuite's operational-space controller of poses."""
    if not isinstance(controller, dict) or controller.get("type") != "OSC_POSE" or width != 7:
        return None
    scale = controller.get("output_max")
    scale = [scale] * 6 if isinstance(scale, (int, float)) else scale
    fits = isinstance(scale, list) and len(scale) == 6 and all(isinstance(v, (int, float)) for v in scale)
    moves = controller.get("control_delta", True) and controller.get("impedance_mode", "fixed") == "fixed"
    return tuple(map(float, scale)) if fits and moves else None  # type: ignore[arg-type]


def _osc_action(scale: tuple[float, ...], hz: float) -> ActionSpec:
    moves = tuple(
        ActionDim(f"d{a}", "position", "delta", "world", "m", s) for a, s in zip("xyz", scale, strict=False)
    )
    turns = tuple(
        ActionDim(f"dr{a}", "rotation", "delta", "world", "rad", s)
        for a, s in zip("xyz", scale[3:], strict=True)
    )
    gripper = ActionDim("gripper", "gripper", "absolute", "none")
    return ActionSpec((*moves, *turns, gripper), hz, rotation="axis_angle", gripper_closes=1)


def _camera_name(key: str) -> str:
    name = re.sub(r"_(image|rgb)$", "", key.removeprefix("obs/"))
    return ROLES.get(name, name)


def _series_name(key: str) -> str:
    return RENAMED.get(key, key.removeprefix("obs/"))
