"""Policies that need no learning: uniform random actions, and the scripted experts of a simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vla_data.errors import SimError
from vla_data.protocols import Policy, SimEnv
from vla_data.types import ActionChunk, CameraInput, InputSpec, ObservationWindow, RobotSpec


class RandomPolicy:
    """Uniform actions in the robot's range, drawn from each episode's own seed; a `Policy`.

    Args:
        robot: whose actions.
        cameras: asked for and not looked at (to stand in for a policy that sees).
        action_horizon: actions in a chunk.
    """

    def __init__(
        self, robot: RobotSpec, cameras: tuple[CameraInput, ...] = (), action_horizon: int = 8
    ) -> None:
        self.input_spec = InputSpec(robot, cameras, action_horizon, instruction=False)
        self._generators: dict[int, np.random.Generator] = {}

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        for slot, seed in zip(slots, seeds, strict=True):
            self._generators[slot] = np.random.default_rng(seed)

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        spec = self.input_spec.robot.action
        shape = (self.input_spec.action_horizon, spec.dim)
        draws = [self._generators[w.slot].uniform(spec.low, spec.high, shape) for w in windows]
        return [ActionChunk(draw.astype(np.float32), spec) for draw in draws]


def make_expert(env: SimEnv) -> Policy:
    """The scripted expert of an environment: a `Policy` that reads the simulator's own state.

    Raises:
        SimError: this simulator has no expert.
    """
    kind = type(env).__name__
    if kind not in _EXPERTS:
        raise SimError(
            "this simulator has no scripted expert",
            where=kind,
            expected=" or ".join(_EXPERTS),
            next_step="evaluate a trained policy there, or generate demonstrations in Meta-World",
        )
    return _EXPERTS[kind](env)


def _metaworld(env: Any) -> Policy:
    from vla_data.sim.metaworld import MetaWorldExpert

    return MetaWorldExpert(env)


def _tabletop(env: Any) -> Policy:
    from vla_data.sim.tabletop import Onlooker

    return Onlooker(env)


def _libero(env: Any) -> Policy:
    from vla_data.sim.libero_expert import LiberoExpert

    return LiberoExpert(env)


_EXPERTS: dict[str, Callable[[Any], Policy]] = {
    "MetaWorldEnv": _metaworld,
    "LiberoEnv": _libero,
    "TabletopEnv": _tabletop,
}
