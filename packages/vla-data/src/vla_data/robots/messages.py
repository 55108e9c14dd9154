"""What is said between a policy's server and its client, as messages of `vla_data.robots.wire`.

- first the server: `{"server": "vla", "protocol": 1, "policy": name, "input_spec": {…}}`
- `{"do": "reset", "slots": [int], "seeds": [int]}` → `{"done": true}`: episodes begin
- `{"do": "infer", "windows": [window]}` → `{"chunks": float32 [n, action_horizon, action_dim],
  "server_timing": {"infer_ms": ms}}`
- where something is wrong, text in place of an answer

A window is `{"slot", "past_actions", "observations": [observation]}`, an observation `{"time", "state",
"instruction", "images": {camera: uint8 [h, w, 3]}, "depth": {camera: float32 [h, w], metres}}`. A message
without `do` is one observation in the names of a `Convention` (`vla_data.robots.conventions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_data.robots.wire import MessageError
from vla_data.types import InputSpec, Observation, ObservationWindow

PROTOCOL = 1
LONGEST = 4096  # characters of an instruction
MOST_SLOTS = 64  # of one connection


def tell_window(window: ObservationWindow) -> dict[str, Any]:
    """A window as a part of a message."""
    return {
        "slot": window.slot,
        "past_actions": window.past_actions,
        "observations": [
            {
                "time": o.time,
                "state": o.state,
                "instruction": o.instruction,
                "images": dict(o.images),
                "depth": dict(o.depth),
            }
            for o in window.observations
        ],
    }


def read_window(told: Any, spec: InputSpec) -> ObservationWindow:
    """The window of a message, held against what the policy takes.

    Raises:
        MessageError: a part is missing, of another shape or type, or a number is not finite.
    """
    told = mapping(told, "window")
    slot = whole(told.get("slot"), "slot", MOST_SLOTS)
    past = numbers(told.get("past_actions"), "past_actions", (spec.past, spec.robot.action.dim))
    seen = told.get("observations")
    if not isinstance(seen, list) or len(seen) != spec.history:
        raise MessageError(
            "a window has the wrong number of observations",
            where="observations",
            expected=str(spec.history),
            got=str(len(seen)) if isinstance(seen, list) else type(seen).__name__,
        )
    return ObservationWindow(tuple(read_observation(o, spec) for o in seen), past, slot)


def read_observation(told: Any, spec: InputSpec) -> Observation:
    """One observation of a message; see `read_window`."""
    told = mapping(told, "observation")
    images, depth = mapping(told.get("images", {}), "images"), mapping(told.get("depth", {}), "depth")
    time = told.get("time", 0.0)
    if not isinstance(time, (int, float)) or not np.isfinite(time):
        raise MessageError("a time is not a number", where="time", expected="seconds", got=repr(time)[:40])
    return Observation(
        time=float(time),
        images={c.name: picture(images.get(c.name), c.name, (c.height, c.width)) for c in spec.cameras},
        state=numbers(told.get("state"), "state", (spec.state_dim,)),
        instruction=text(told.get("instruction", ""), "instruction") if spec.instruction else "",
        depth={
            c.name: numbers(depth.get(c.name), f"depth of {c.name}", (c.height, c.width))
            for c in spec.cameras
            if c.depth
        },
    )


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """The value, if it is a mapping."""
    if isinstance(value, dict):
        return value
    raise MessageError("a part of a message is not a mapping", where=where, got=type(value).__name__)


def whole(value: Any, where: str, below: int) -> int:
    """The value, if it is an integer of [0, below)."""
    if type(value) is int and 0 <= value < below:
        return value
    raise MessageError(
        "a number is out of range", where=where, expected=f"0 … {below - 1}", got=repr(value)[:40]
    )


def text(value: Any, where: str) -> str:
    """The value, if it is a string of reasonable length."""
    if isinstance(value, str) and len(value) <= LONGEST:
        return value
    got = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
    raise MessageError("a text cannot be taken", where=where, expected=f"up to {LONGEST} characters", got=got)


def picture(value: Any, where: str, shape: tuple[int, int]) -> np.ndarray:
    """The value, if it is a picture uint8 [height, width, 3] of that size."""
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.shape == (*shape, 3):
        return value
    raise MessageError(
        "a picture is missing or of another shape",
        where=f"camera {where}",
        expected=f"uint8 {[*shape, 3]}",
        got=described(value),
    )


def numbers(value: Any, where: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The value as float32, if it is an array of that shape (None: any) of finite numbers."""
    fits = (
        isinstance(value, np.ndarray)
        and value.dtype.kind in "iuf"
        and value.ndim == len(shape)
        and all(n in (None, have) for n, have in zip(shape, value.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise MessageError(
            "numbers are missing or of another shape",
            where=where,
            expected=f"[{wanted}]",
            got=described(value),
        )
    assert isinstance(value, np.ndarray)
    with np.errstate(over="ignore"):
        found = value.astype(np.float32)
    if not np.isfinite(found).all():
        raise MessageError("a number is not finite", where=where, expected="finite float32")
    return found


def described(value: Any) -> str:
    """What came, shortly."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return "nothing" if value is None else type(value).__name__
