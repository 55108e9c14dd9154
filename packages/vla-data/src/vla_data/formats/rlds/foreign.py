"""Episodes of data sets that others wrote: read as their entry in `vla_data.openx` says, or by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.example import Example
from vla_data.formats.features import Leaf
from vla_data.formats.leaves import decode_leaf, first_text
from vla_data.images import EncodedImages, size
from vla_data.openx.standard import Standard
from vla_data.types import ActionDim, ActionSpec, Camera, Episode, RobotSpec, StateDim

ASSUMED_HZ = 10.0  # control rate of a data set that nothing is known of
STILL = 1e-5  # motion below this is the rounding of a zero
SERIES_LIMIT = 64  # wider columns are embeddings and the like, not series of a robot
STATE_NAMES = ("state", "proprio", "robot_state", "eef_state", "joint_state")
TEXT_NAMES = ("language_instruction", "natural_language_instruction", "instruction")


@dataclass(frozen=True)
class ForeignDoor:
    """Reads records of a data set by its `Standard`."""

    standard: Standard
    leaves: Mapping[str, Leaf]
    cameras: Mapping[str, Camera]

    @property
    def robot(self) -> RobotSpec:
        return self.standard.robot

    @property
    def roles(self) -> dict[str, str]:
        """Flat key → what it is in this suite's vocabulary."""
        s = self.standard
        named = {f"steps/{k}": "action" for k in s.action} | {f"steps/{k}": "state" for k in s.state}
        named |= {f"steps/{key}": f"camera {name}" for name, key in s.cameras.items()}
        named |= {f"steps/{s.instruction}": "instruction"} if s.instruction else {}
        named |= {f"steps/{s.time}": "time"} if s.time else {}
        return named | {f"steps/{k}": f"series {k}" for k in self._series_keys}

    def episode(self, example: Example, fallback_id: str, images: bool) -> Episode:
        """The episode of a record; without `images`, no frame of it is looked at."""
        s = self.standard
        action = self._joined(example, s.action)
        first = 1 if s.drop_still_start and self._starts_still(action) else 0
        state = self._joined(example, s.state) if s.state else np.zeros((len(action), 0), np.float32)
        series = {k: self._get(example, k)[first:] for k in self._series_keys}
        return Episode(
            id=fallback_id,
            robot=s.robot,
            action=action[first:],
            state=state[first:],
            time=self._time(example, len(action))[first:],
            images={name: self._frames(example, name, first) for name in s.cameras} if images else {},
            instruction=self._instruction(example),
            cameras=dict(self.cameras),
            series=series,
            metadata=self._metadata(example),
        )

    def _get(self, example: Example, key: str) -> Any:
        return decode_leaf(example, f"steps/{key}", self.leaves[f"steps/{key}"])

    def _joined(self, example: Example, keys: tuple[str, ...]) -> np.ndarray:
        parts = [np.asarray(self._get(example, k), np.float32) for k in keys]
        parts = [p.reshape(len(p), -1) for p in parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _starts_still(self, action: np.ndarray) -> bool:
        moving = [i for i, d in enumerate(self.robot.action.dims) if d.quantity != "gripper"]
        return len(action) > 1 and bool((np.abs(action[0, moving]) < STILL).all())

    def _time(self, example: Example, steps: int) -> np.ndarray:
        if self.standard.time is None:
            return np.arange(steps) / self.robot.action.control_hz
        time = np.asarray(self._get(example, self.standard.time), np.float64).reshape(-1)
        return time - time[0]

    def _frames(self, example: Example, name: str, first: int) -> EncodedImages:
        key, camera = f"steps/{self.standard.cameras[name]}", self.cameras[name]
        frames = self._get(example, self.standard.cameras[name])
        where = f"{example.where}, key {key!r}"
        return EncodedImages(frames[first:], where, (camera.height, camera.width))

    def _instruction(self, example: Example) -> str:
        key = self.standard.instruction
        return first_text(example, f"steps/{key}") if key else ""

    def _metadata(self, example: Example) -> dict[str, Any]:
        found = {}
        for key, leaf in self.leaves.items():
            if leaf.rank == 0 and leaf.shape == () and leaf.kind in ("tensor", "text") and key in example:
                value = decode_leaf(example, key, leaf)
                found[key.removeprefix("episode_metadata/")] = value if leaf.kind == "text" else value.item()
        return found

    @cached_property
    def _series_keys(self) -> list[str]:
        s = self.standard
        taken = {*s.action, *s.state, s.time}
        return [
            name
            for key, leaf in self.leaves.items()
            if key.startswith("steps/") and leaf.rank == 1 and leaf.kind == "tensor"
            and 0 < _width(leaf) <= SERIES_LIMIT
            and (name := key.removeprefix("steps/")) not in taken
        ]  # fmt: skip


def open_foreign(
    standard: Standard | None, leaves: Mapping[str, Leaf], first: Callable[[], Example], where: str
) -> ForeignDoor:
    """The door of a data set: by its entry, or by a guess from what its keys are called.

    Args:
        first: gives the first record; only read when an image's size is not declared.

    Raises:
        DataError: the data set lacks a key its entry names, or no key looks like an action.
    """
    standard = standard or guess(leaves, where)
    keys = (*standard.action, *standard.state, *standard.cameras.values())
    for key in keys:
        if f"steps/{key}" not in leaves:
            raise DataError(
                "a data set lacks a key that its entry names",
                where=where,
                expected=f"steps/{key}",
                got=", ".join(sorted(leaves)),
                next_step="read another version of the data set, or correct its entry in vla_data.openx",
            )
    cameras = {name: _camera(name, f"steps/{key}", leaves, first) for name, key in standard.cameras.items()}
    return ForeignDoor(standard, dict(leaves), cameras)


def guess(leaves: Mapping[str, Leaf], where: str = "") -> Standard:
    """What the keys of an unknown data set seem to be. Nothing is assumed of what the numbers mean."""
    steps = {k.removeprefix("steps/"): v for k, v in leaves.items() if k.startswith("steps/") and v.rank == 1}
    numbers = {k: v for k, v in steps.items() if v.kind == "tensor" and None not in v.shape}
    action = (
        ("action",) if "action" in numbers else tuple(sorted(k for k in numbers if k.startswith("action/")))
    )
    if not action:
        raise DataError(
            "no key of a data set looks like an action",
            where=where,
            expected="steps/action, or numbers below it",
            got=", ".join(sorted(leaves)),
            next_step="say which key it is with an entry in vla_data.openx",
        )
    state = next((f"observation/{n}" for n in STATE_NAMES if f"observation/{n}" in numbers), None)
    texts = [k for k, v in steps.items() if v.kind == "text"]
    named = [k for name in TEXT_NAMES for k in texts if k.rsplit("/", 1)[-1] == name]
    pictures = [k for k, v in steps.items() if v.kind == "image" and v.dtype == "uint8" and _is_colour(k, v)]
    widths = [sum(_width(numbers[k]) for k in keys) for keys in (action, (state,) if state else ())]
    return Standard(
        robot=_unknown_robot(*widths),
        action=action,
        state=(state,) if state else (),
        cameras={k.removeprefix("observation/"): k for k in sorted(pictures)},
        instruction=named[0] if named else None,
        assumed=True,
    )


def _width(leaf: Leaf) -> int:
    """Numbers in one step; 0 when that varies."""
    return math.prod(d or 0 for d in leaf.shape)


def _is_colour(key: str, leaf: Leaf) -> bool:
    return len(leaf.shape) == 3 and leaf.shape[-1] in (3, 4, None) and "depth" not in key


def _unknown_robot(action_dim: int, state_dim: int) -> RobotSpec:
    dims = tuple(ActionDim(f"action_{i}", "other", "absolute", "none") for i in range(action_dim))
    state = tuple(StateDim(f"state_{i}") for i in range(state_dim))
    return RobotSpec("unknown", ActionSpec(dims, control_hz=ASSUMED_HZ), state)


def _camera(name: str, key: str, leaves: Mapping[str, Leaf], first: Callable[[], Example]) -> Camera:
    height, width, *_ = leaves[key].shape
    if height is None or width is None:
        frames = decode_leaf(first(), key, leaves[key])
        height, width = size(frames[0], key) if frames else (0, 0)
    return Camera(name, width, height)
