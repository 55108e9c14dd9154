"""What a policy answers to the messages of one client (`vla_data.robots.messages`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from vla_data.config import to_dict
from vla_data.errors import SpecMismatchError
from vla_data.protocols import Policy
from vla_data.robots.conventions import ACTIONS, Convention
from vla_data.robots.messages import MOST_SLOTS, PROTOCOL, read_window, whole
from vla_data.robots.wire import MessageError
from vla_data.rollout_checks import checked_chunks
from vla_data.types import InputSpec, ObservationWindow, Trial

TIMING = "server_timing"


@dataclass(eq=False)
class Desk:
    """A policy that several clients ask, one after the other.

    Args:
        convention: in which a flat observation is understood; its pictures may be larger than the policy's.

    Raises:
        SpecMismatchError: the convention is of another robot, or lacks a camera.
    """

    policy: Policy
    name: str
    convention: Convention

    def __post_init__(self) -> None:
        self.thinks = threading.Lock()
        require_told(self.convention, self.policy.input_spec, self.name)

    @property
    def hello(self) -> dict[str, Any]:
        """What a client is told first."""
        spec = to_dict(self.policy.input_spec)
        return {"server": "vla", "protocol": PROTOCOL, "policy": self.name, "input_spec": spec}


class Conversation:
    """One client's episodes: `MOST_SLOTS` of the policy's slots, from `first` on, are its own.

    Its slot 0 begins by itself: openpi's client has no word for the beginning of an episode.
    """

    def __init__(self, desk: Desk, first: int) -> None:
        self.desk, self.first = desk, first
        self.spec = desk.policy.input_spec
        self._begun: set[int] = set()
        self._reset([0], [0])

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """To a message.

        Raises:
            MessageError: it is not what the protocol says, or the policy cannot answer it.
            BadActionError: the policy's answer is not a chunk of finite actions.
        """
        asked = message.get("do")
        if asked == "reset":
            return self._begin(message)
        if asked == "infer":
            return self._infer(message.get("windows"))
        if asked is None:
            return self._infer_one(message)
        raise MessageError(
            "nobody knows what to do", where="do", expected="reset, infer", got=repr(asked)[:40]
        )

    def _begin(self, message: dict[str, Any]) -> dict[str, Any]:
        slots, seeds = message.get("slots"), message.get("seeds")
        if not isinstance(slots, list) or not isinstance(seeds, list) or len(slots) != len(seeds):
            raise MessageError("slots and seeds are lists of one length", where="reset")
        self._reset([whole(s, "slots", MOST_SLOTS) for s in slots], [whole(s, "seeds", 2**63) for s in seeds])
        return {"done": True}

    def _reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        with self.desk.thinks:
            self.desk.policy.reset([self.first + s for s in slots], seeds)
        self._begun.update(slots)

    def _infer(self, told: Any) -> dict[str, Any]:
        if not isinstance(told, list) or not 1 <= len(told) <= MOST_SLOTS:
            raise MessageError("windows are a list", where="windows", expected=f"1 … {MOST_SLOTS}")
        chunks, spent = self._chunks([read_window(w, self.spec) for w in told])
        return {"chunks": chunks, TIMING: {"infer_ms": spent}}

    def _infer_one(self, message: dict[str, Any]) -> dict[str, Any]:
        """Of a flat observation, for a policy that needs no more than that."""
        deep = any(c.depth for c in self.spec.cameras)
        if self.spec.history > 1 or self.spec.past_actions or deep:
            raise MessageError(
                "this policy needs more than one picture of now",
                expected=f"`do`: infer, with windows of {self.spec.history} observations and "
                f"{self.spec.past} actions{', with depth' if deep else ''}",
                got="a flat observation",
            )
        seen = self.desk.convention.read(message)
        images = {c.name: _smaller(seen.images[c.name], c.height, c.width) for c in self.spec.cameras}
        past = np.zeros((self.spec.past, self.spec.robot.action.dim), np.float32)
        chunks, spent = self._chunks([ObservationWindow((replace(seen, images=images),), past)])
        return {ACTIONS: chunks[0], TIMING: {"infer_ms": spent}}

    def _chunks(self, windows: Sequence[ObservationWindow]) -> tuple[np.ndarray, float]:
        """Finite chunks, and milliseconds."""
        fresh = sorted({w.slot for w in windows} - self._begun)
        if fresh:
            raise MessageError(
                "an episode has not begun", where=f"slots {fresh}", expected="`do`: reset before infer"
            )
        asked = [replace(w, slot=self.first + w.slot) for w in windows]
        with self.desk.thinks:
            began = time.perf_counter()
            chunks = self.desk.policy.infer(asked)
            spent = 1000 * (time.perf_counter() - began)
        trials = [Trial(w.latest.instruction[:80], w.slot, "") for w in windows]
        return np.stack(checked_chunks(self.desk.name, chunks, self.spec, trials)), spent


def require_told(convention: Convention, spec: InputSpec, name: str) -> None:
    """Raise SpecMismatchError unless a convention tells what the policy takes."""
    convention.robot.action.require_same(spec.robot.action, f"a convention's actions against those of {name}")
    told = {c.name: (c.height, c.width) for _, c in convention.cameras}
    wanted = {c.name: (c.height, c.width) for c in spec.cameras}
    fits = all(
        n in told and told[n][0] >= height and told[n][1] >= width for n, (height, width) in wanted.items()
    )
    if not fits or convention.robot.state != spec.robot.state:
        raise SpecMismatchError(
            "a convention does not tell what the policy takes",
            where=name,
            expected=f"cameras {wanted}, state {[d.name for d in spec.robot.state]}",
            got=f"cameras {told}, state {[d.name for d in convention.robot.state]}",
            next_step="leave --convention out: clients then use the policy's own names",
        )


def _smaller(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture of another size, by the means of areas."""
    if image.shape[:2] == (height, width):
        return image
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    shrunk = F.interpolate(pixels, (height, width), mode="area")
    return shrunk[0].permute(1, 2, 0).round().byte().numpy()
