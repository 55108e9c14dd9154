"""Words for what the numbers of an action or a state mean: `delta_position delta_euler gripper`.

A word stands for a few numbers in order. Its grammar: `[side.]name[:count][@frame]`, such as `joints:7`,
`delta_position@gripper` or `left.position`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from vla_data.errors import ConfigError
from vla_data.registry import lookup
from vla_data.types import ActionDim, ActionSpec, Frame, Mode, Quantity, RotationForm, StateDim

FRAMES: dict[str, Frame] = {"world": "world", "base": "base", "gripper": "gripper"}
WORD = re.compile(r"(?:(?P<side>\w+)\.)?(?P<name>\w+)(?::(?P<count>\d+))?(?:@(?P<frame>\w+))?")
FREE = 1000.0  # bound of what has no published unit
REACH = 10.0  # m: no arm gets there
TURN = 2 * math.pi


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a word are. `names` of a counted word are made of its one name and a number."""

    names: tuple[str, ...]
    quantity: Quantity
    mode: Mode
    unit: str
    bound: float = 1.0
    frame: Frame = "base"
    scale: float = 1.0
    rotation: RotationForm = "none"


XYZ, RPY, AXES = ("x", "y", "z"), ("roll", "pitch", "yaw"), ("rx", "ry", "rz")
QUATERNION = ("qx", "qy", "qz", "qw")
MATRIX = tuple(f"pose_{i}{j}" for i in range(4) for j in range(4))

MEANINGS: dict[str, Meaning] = {
    "delta_position": Meaning(XYZ, "position", "delta", "m"),
    "delta_xy": Meaning(("x", "y"), "position", "delta", "m"),
    "position": Meaning(XYZ, "position", "absolute", "m", REACH),
    "xy": Meaning(("x", "y"), "position", "absolute", "m", REACH),
    "velocity": Meaning(("vx", "vy", "vz"), "position", "velocity", "m/s"),
    "delta_euler": Meaning(RPY, "rotation", "delta", "rad", TURN, rotation="euler_xyz"),
    "euler": Meaning(RPY, "rotation", "absolute", "rad", TURN, rotation="euler_xyz"),
    "delta_axis_angle": Meaning(AXES, "rotation", "delta", "rad", TURN, rotation="axis_angle"),
    "axis_angle": Meaning(AXES, "rotation", "absolute", "rad", TURN, rotation="axis_angle"),
    "delta_quaternion": Meaning(QUATERNION, "rotation", "delta", "1", rotation="quaternion_xyzw"),
    "quaternion": Meaning(QUATERNION, "rotation", "absolute", "1", rotation="quaternion_xyzw"),
    "delta_euler_zxy": Meaning(("yaw", "roll", "pitch"), "rotation", "delta", "rad", TURN),
    "euler_zxy": Meaning(("yaw", "roll", "pitch"), "rotation", "absolute", "rad", TURN),
    "delta_euler_zyx": Meaning(("yaw", "pitch", "roll"), "rotation", "delta", "rad", TURN),
    "euler_zyx": Meaning(("yaw", "pitch", "roll"), "rotation", "absolute", "rad", TURN),
    "delta_yaw": Meaning(("yaw",), "rotation", "delta", "rad", TURN),
    "yaw": Meaning(("yaw",), "rotation", "absolute", "rad", TURN),
    "angular_velocity": Meaning(("wx", "wy", "wz"), "rotation", "velocity", "rad/s", TURN),
    "osc_position": Meaning(XYZ, "position", "delta", "1"),  # of a controller whose scale is not published
    "osc_rotation": Meaning(AXES, "rotation", "delta", "1", rotation="axis_angle"),
    "libero_position": Meaning(XYZ, "position", "delta", "m", frame="world", scale=0.05),
    "libero_rotation": Meaning(
        AXES, "rotation", "delta", "rad", frame="world", scale=0.5, rotation="axis_angle"
    ),
    "maniskill_position": Meaning(XYZ, "position", "delta", "m", scale=0.1),
    "maniskill_rotation": Meaning(AXES, "rotation", "delta", "rad", scale=0.1, rotation="axis_angle"),
    "unitless_position": Meaning(XYZ, "position", "absolute", "1", FREE),
    "unitless_rotation": Meaning(RPY, "rotation", "absolute", "1", FREE),
    "command_velocity": Meaning(("vx", "vy", "vz"), "position", "velocity", "1"),
    "command_angular_velocity": Meaning(("wx", "wy", "wz"), "rotation", "velocity", "1"),
    "joints": Meaning(("joint",), "joint", "absolute", "rad", TURN, "joint"),
    "delta_joints": Meaning(("joint",), "joint", "delta", "rad", TURN, "joint"),
    "joint_velocity": Meaning(("joint_velocity",), "joint", "velocity", "rad/s", TURN, "joint"),
    "joint_torque": Meaning(("joint_torque",), "other", "absolute", "N·m", FREE, "joint"),
    "gripper": Meaning(("gripper",), "gripper", "absolute", "1", 1.0, "none"),
    "gripper_unsigned": Meaning(("gripper",), "gripper", "absolute", "1", FREE, "none"),
    "gripper_velocity": Meaning(("gripper",), "gripper", "velocity", "1", FREE, "none"),
    "gripper_delta": Meaning(("gripper",), "gripper", "delta", "1", FREE, "none"),
    "gripper_closed": Meaning(("gripper_closed",), "gripper", "absolute", "1", 1.0, "none"),
    "gripper_width": Meaning(("gripper_width",), "gripper", "absolute", "m", 1.0, "none"),
    "base": Meaning(("base",), "base", "velocity", "1", FREE),
    "base_xy": Meaning(("x", "y"), "base", "delta", "m", FREE),
    "linear_velocity": Meaning(("vx", "vy", "vz"), "other", "velocity", "m/s", FREE),
    "force": Meaning(("fx", "fy", "fz"), "other", "absolute", "N", FREE),
    "torque": Meaning(("tx", "ty", "tz"), "other", "absolute", "N·m", FREE),
    "matrix": Meaning(MATRIX, "other", "absolute", "1", REACH),
    "raw": Meaning(("value",), "other", "absolute", "1", FREE, "none"),
}
OPENS = {"gripper"}  # words whose numbers are 1 open and 0 closed


@dataclass(frozen=True)
class Word:
    """A word that was read: its meaning, and the names of its numbers."""

    name: str
    meaning: Meaning
    names: tuple[str, ...]
    frame: Frame


def read_words(text: str, where: str) -> list[Word]:
    """The words of a text.

    Raises:
        UnknownNameError: a word or a frame does not exist.
        ConfigError: a word is not of the grammar.
    """
    return [_read_word(word, where) for word in text.split()]


def _read_word(text: str, where: str) -> Word:
    match = WORD.fullmatch(text)
    if match is None:
        raise ConfigError(
            "a word for the meaning of numbers cannot be read",
            where=where,
            expected="[side.]name[:count][@frame], such as joints:7 or delta_position@gripper",
            got=repr(text),
        )
    side, name, count, frame = match.group("side", "name", "count", "frame")
    meaning = lookup("meaning of numbers", MEANINGS, name)
    names = meaning.names
    if count is not None:
        names = tuple(f"{n}_{i}" for i in range(int(count)) for n in names)
    names = tuple(f"{side}_{n}" for n in names) if side else names
    return Word(name, meaning, names, lookup("frame", FRAMES, frame) if frame else meaning.frame)


def action_spec(text: str, control_hz: float, where: str = "action") -> ActionSpec:
    """The action that words mean; a `gripper` is 1 open and 0 closed."""
    words = read_words(text, where)
    rotations: set[RotationForm] = {w.meaning.rotation for w in words if w.meaning.rotation != "none"}
    opens = any(w.name in OPENS for w in words)
    return ActionSpec(
        tuple(dim for w in words for dim in _action_dims(w)),
        control_hz,
        rotation=rotations.pop() if len(rotations) == 1 else "none",
        gripper_closes=-1 if opens else None,
    )


def state_dims(text: str, where: str = "state") -> tuple[StateDim, ...]:
    """The state that words mean."""
    return tuple(StateDim(n, w.meaning.unit) for w in read_words(text, where) for n in w.names)


def _action_dims(word: Word) -> list[ActionDim]:
    m = word.meaning
    low = 0.0 if word.name in OPENS else -m.bound
    return [ActionDim(n, m.quantity, m.mode, word.frame, m.unit, m.scale, low, m.bound) for n in word.names]
