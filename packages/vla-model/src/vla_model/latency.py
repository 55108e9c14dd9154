"""What comes of a policy whose answers come late, in a simulator that otherwise waits for them.

The robot does not stop while the policy thinks. After a look it goes on with what the answer before still
holds, and keeps still where that ends; the new answer's actions whose time has passed meanwhile are left out,
as far as enough are left to carry out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vla_data.camera_control import LookingPolicy
from vla_data.errors import ConfigError
from vla_data.protocols import Policy
from vla_data.types import ActionChunk, InputSpec, ObservationWindow


def late(policy: Policy, latency: float, execute: int) -> tuple[Policy, int]:
    """The policy with answers `latency` milliseconds after the look, and the actions to carry out of each.

    Args:
        execute: actions of the policy's own answers that are carried out.

    Raises:
        ConfigError: the policy moves cameras, which takes time of its own.
    """
    if latency and isinstance(policy, LookingPolicy):
        raise ConfigError("a policy that moves cameras cannot be made late", where="latency", expected="0")
    spec = policy.input_spec
    steps = math.ceil(latency / 1000 * spec.robot.action.control_hz - 1e-9)
    execute = min(execute, spec.action_horizon)
    return (LatePolicy(policy, steps, execute), steps + execute) if steps else (policy, execute)


class LatePolicy:
    """A policy whose chunks begin with `steps` actions of the time in which it thought."""

    def __init__(self, policy: Policy, steps: int, execute: int) -> None:
        self._policy, self._steps, self._execute = policy, steps, execute
        self._skipped = min(steps, policy.input_spec.action_horizon - execute)
        self._left: dict[int, np.ndarray] = {}
        spec = policy.input_spec.robot.action
        self._absolute = np.array([d.mode == "absolute" for d in spec.dims])

    @property
    def input_spec(self) -> InputSpec:
        return replace(self._policy.input_spec, action_horizon=self._steps + self._execute)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        for slot in slots:
            self._left.pop(slot, None)
        self._policy.reset(slots, seeds)

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        chunks = self._policy.infer(windows)
        return [
            replace(c, actions=self._late(w.slot, c.actions)) for w, c in zip(windows, chunks, strict=True)
        ]

    def _late(self, slot: int, new: np.ndarray) -> np.ndarray:
        left = self._left.get(slot, new[:0])
        last = left[-1] if len(left) else new[0]
        still = np.where(self._absolute, last, 0).astype(new.dtype)
        meanwhile = np.concatenate([left, np.tile(still, (self._steps, 1))])[: self._steps]
        carried_out = self._skipped + self._execute
        self._left[slot] = new[carried_out:]
        return np.concatenate([meanwhile, new[self._skipped : carried_out]])
