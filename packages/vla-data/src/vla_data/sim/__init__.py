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


def chosen_tasks(name: str, chosen: Sequence[str]) -> tuple[str, ...]:
    """Tasks of a simulator by name, each once: `all` stands for all, a suite (`libero_object`) for its own.

    Raises:
        UnknownNameError: no such simulator, suite or task.
        MissingDependencyError: its package is absent.
    """
    known = task_names(name)
    named: dict[str, list[str]] = {"all": list(known)}
    for task in known:
        named.setdefault(task.partition("/")[0], []).append(task)
        named[task] = [task]
    found = [task for one in chosen for task in lookup(f"{name} task", named, one)]
    return tuple(dict.fromkeys(found))


def pictures_of(name: str) -> str:
    """The simulator as results name it: with what its pictures are drawn from, where that was substituted.

    Raises:
        UnknownNameError: no such simulator.
    """
    return lookup("simulator", PICTURES, name)()


def sub_tasks(name: str, task: str) -> tuple[str, ...]:
    """What a task consists of, in order; empty where the simulator does not say.

    Raises:
        UnknownNameError: no such simulator.
    """
    return lookup("simulator", SUB_TASKS, name)(task)


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


def _metaworld_sub_tasks(task: str) -> tuple[str, ...]:
    from vla_data.sim.phase_texts import phase_texts

    return phase_texts(task)


def _libero_pictures() -> str:
    from vla_data.sim.libero_names import visuals

    return visuals()


PICTURES: dict[str, Callable[[], str]] = {
    "metaworld": lambda: "metaworld",
    "libero": _libero_pictures,
    "tabletop": lambda: "tabletop",
}

SUB_TASKS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "metaworld": _metaworld_sub_tasks,
    "libero": lambda task: (),
    "tabletop": lambda task: (),
}

__all__ = [
    "SIMS",
    "CameraView",
    "RandomPolicy",
    "SimConfig",
    "chosen_tasks",
    "instructions",
    "make_env",
    "make_expert",
    "pictures_of",
    "sub_tasks",
    "task_names",
]
