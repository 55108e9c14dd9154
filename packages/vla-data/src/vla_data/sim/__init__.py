"""Simulators behind one protocol, their scripted experts, placements and instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vla_data.protocols import SimEnv
from vla_data.registry import lookup
from vla_data.sim.config import CameraView, SimConfig
from vla_data.sim.instructions import instructions
from vla_data.sim.policies import RandomPolicy, make_expert

EnvFactory = Callable[[Sequence[str], SimConfig | None, int], SimEnv]


def make_env(name: str, tasks: Sequence[str], config: SimConfig | None = None, num_envs: int = 1) -> SimEnv:
    """A simulator by name ("metaworld", "libero", "tabletop") with `num_envs` slots.

    Raises:
        UnknownNameError: no such simulator, task or camera.
        MissingDependencyError: its package, its assets or off-screen OpenGL are absent.
    """
    return lookup("simulator", SIMS, name)(tasks, config, num_envs)


def task_names(name: str) -> tuple[str, ...]:
    """The tasks of a simulator.

    Raises:
        UnknownNameError: no such simulator.
        MissingDependencyError: its package is absent.
    """
    return lookup("simulator", TASK_LISTS, name)()


def _metaworld(tasks: Sequence[str], config: SimConfig | None, num_envs: int) -> SimEnv:
    from vla_data.sim.metaworld import MetaWorldEnv

    return MetaWorldEnv(tasks, config, num_envs)


def _libero(tasks: Sequence[str], config: SimConfig | None, num_envs: int) -> SimEnv:
    from vla_data.sim.libero import LiberoEnv

    return LiberoEnv(tasks, config, num_envs)


def _tabletop(tasks: Sequence[str], config: SimConfig | None, num_envs: int) -> SimEnv:
    from vla_data.sim.tabletop import TabletopEnv

    return TabletopEnv(tasks, config, num_envs)


def _metaworld_tasks() -> tuple[str, ...]:
    from vla_data.sim.wordings import METAWORLD

    return tuple(METAWORLD)


def _libero_tasks() -> tuple[str, ...]:
    from vla_data.sim.libero_names import task_names as names

    return names()


SIMS: dict[str, EnvFactory] = {"metaworld": _metaworld, "libero": _libero, "tabletop": _tabletop}
TASK_LISTS: dict[str, Callable[[], tuple[str, ...]]] = {
    "metaworld": _metaworld_tasks,
    "libero": _libero_tasks,
    "tabletop": lambda: ("watch", "still"),
}

__all__ = [
    "SIMS",
    "CameraView",
    "RandomPolicy",
    "SimConfig",
    "instructions",
    "make_env",
    "make_expert",
    "task_names",
]
