"""What is evaluated, under which protocol, and what comes of each trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vla_data.errors import ConfigError
from vla_data.registry import lookup
from vla_data.sim.config import Perturbation
from vla_data.sim.perturbing import AXES
from vla_model.words import split_words

Wording = Literal["train", "unseen", "permuted", "blank"]
UNTRAINED = ("expert", "random")
WAYS = (*AXES, "unseen", "permuted", "blank")


@dataclass(frozen=True)
class Arm:
    """One row of the table: who drives, and what it is told.

    Args:
        name: label of the row.
        policy: a checkpoint directory, `expert` or `random`.
        wording: `train` (the canonical instruction), `unseen` (wordings kept out of training) or `permuted`
            (the canonical instruction of another task of the evaluation, success still judged by the task) or
            `blank` (none).
        axis: how its scenes differ from those of training (`vla_data.sim.perturbing.AXES`); "" for not.

    Raises:
        UnknownNameError: no such axis.
    """

    name: str
    policy: str
    wording: Wording = "train"
    axis: str = ""

    def __post_init__(self) -> None:
        if self.axis:
            lookup("way to differ", AXES, self.axis)

    @property
    def perturbation(self) -> Perturbation:
        """Of its scenes."""
        return AXES[self.axis] if self.axis else Perturbation()

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return "-".join(split_words(self.name))


def differing(arm: Arm, ways: Sequence[str]) -> tuple[Arm, ...]:
    """An arm, and the same policy where one thing at a time differs: scenes, or what it is told.

    Args:
        ways: of `WAYS`, or `all` of them.

    Raises:
        UnknownNameError: no such way.
    """
    chosen = WAYS if "all" in ways else [lookup("way to differ", {w: w for w in WAYS}, way) for way in ways]
    made = [
        replace(arm, name=f"{arm.name}, {way}", **({"axis": way} if way in AXES else {"wording": way}))
        for way in chosen
    ]
    return (arm, *made)


@dataclass(frozen=True)
class EvalConfig:
    """The protocol, every switch explicit.

    Args:
        sim: simulator.
        tasks: tasks to try, or suites of them (`vla_data.sim.chosen_tasks`).
        trials: placements a task.
        split: which placements; `eval` ones are never seen in training by construction.
        execute: actions of a chunk executed before the policy looks again.
        max_steps: cap; None for the simulator's own.
        render: render settings of the simulator.
        settle_steps: no-op steps after a reset that no policy sees, where the simulator's protocol has them.
        world_seed: seed of a simulator's own fixtures, where they vary apart from the placement.
        videos: record the first success and failure of each task, for every arm but expert and random.
        threads: torch threads a worker.
        checklists: the sub-tasks of a task are told below its instruction, where the simulator knows them.
        latency: milliseconds from a look to the answer, in which the robot goes on (`vla_model.latency`).
    """

    sim: str = "metaworld"
    tasks: tuple[str, ...] = ()
    trials: int = 20
    split: Literal["validation", "eval"] = "eval"
    execute: int = 8
    max_steps: int | None = None
    render: Literal["fast", "reference"] = "fast"
    settle_steps: int = 10
    world_seed: int = 0
    videos: bool = True
    threads: int = 1
    checklists: bool = False
    latency: float = 0.0

    def __post_init__(self) -> None:
        if self.latency < 0:
            raise ConfigError(
                "an answer cannot come before the look",
                where="latency",
                expected="milliseconds, at least 0",
                got=f"{self.latency:g}",
            )


def _default() -> EvalConfig:
    from vla_data.sim.generate import GenerateConfig

    return EvalConfig(tasks=GenerateConfig().tasks)


PRESETS: dict[str, Callable[[], EvalConfig]] = {
    "default": _default,
    "libero": lambda: EvalConfig("libero", ("libero_object",), trials=10),
    "debug": lambda: EvalConfig(tasks=("reach",), trials=2, max_steps=50, videos=False),
}


@dataclass(frozen=True)
class TrialRecord:
    """What happened in one trial. `steps` counts until success or the cap.

    `error` says why a trial could not be judged: it counts neither as a success nor as a failure.
    """

    task: str
    index: int
    seed: int
    instruction: str
    success: bool
    steps: int
    error: str = ""
