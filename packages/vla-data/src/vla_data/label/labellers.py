"""Who divides an episode into sub-steps: one protocol, a registry, and the labellers that need no help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from vla_data.errors import ConfigError
from vla_data.label.kinematic import KinematicConfig, gripper_cuts, kinematic_cuts
from vla_data.label.motion import Motion, motion_of
from vla_data.label.words import Facing, describe
from vla_data.registry import lookup
from vla_data.types import Episode, SubStep

Method = Literal["kinematic", "gripper", "equal", "learned", "command"]


@runtime_checkable
class SubstepLabeller(Protocol):
    """Divides an episode into sub-steps, each with a text: in order, without overlap.

    `needs_images` says whether it looks at pictures; where it does not, none is read.
    """

    @property
    def needs_images(self) -> bool: ...
    def label(self, episode: Episode) -> tuple[SubStep, ...]: ...


@runtime_checkable
class Closing(Protocol):
    """What a labeller has besides when it holds something that is to be given back."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class CommandConfig:
    """An outside provider, such as a vision-language model: a program that speaks JSON lines.

    Args:
        argv: the program and its arguments; no shell looks at them.
        frames: pictures of each camera that it is shown, spread over the episode; 0: none.
        timeout: seconds it may take for one episode.
    """

    argv: tuple[str, ...] = ()
    frames: int = 0
    timeout: float = 60.0


@dataclass(frozen=True)
class LabelConfig:
    """How episodes are labelled.

    Args:
        method: whose labels.
        kinematic: thresholds of "kinematic" and of "gripper".
        segments: how many "equal" gives.
        model: file of "learned".
        command: provider of "command".
        facing: which way the robot looks, where its action is in a world frame; None: axes are named.
    """

    method: Method = "kinematic"
    kinematic: KinematicConfig = field(default_factory=KinematicConfig)
    segments: int = 4
    model: Path | None = None
    command: CommandConfig = field(default_factory=CommandConfig)
    facing: Facing | None = None


PRESETS: dict[str, Callable[[], LabelConfig]] = {
    "default": LabelConfig,
    # People at 5 to 15 Hz: a sub-step is a few steps long, and the hand slows down between two of them.
    "slow": lambda: LabelConfig(
        kinematic=KinematicConfig(window=1, change=0.8, min_steps=2, dip_window=4, dip=0.5)
    ),
    "metaworld": lambda: LabelConfig(facing="+y"),
}


@dataclass(frozen=True)
class CutLabeller:
    """Cuts from the motion, texts from motion and instruction; with `join`, equal neighbours are one."""

    cuts: Callable[[Motion], list[int]]
    facing: Facing | None = None
    join: bool = True
    needs_images: bool = False

    def label(self, episode: Episode) -> tuple[SubStep, ...]:
        motion = motion_of(episode)
        edges = [0, *self.cuts(motion), len(motion)]
        return describe(motion, edges, episode.instruction, self.facing, join=self.join)


def make_labeller(config: LabelConfig) -> SubstepLabeller:
    """The labeller of a configuration.

    Raises:
        UnknownNameError: no such method.
        ConfigError: the method lacks its model or its program.
        DataError: the model's file is missing or is none.
    """
    return lookup("method of labelling", LABELLERS, config.method)(config)


def _equal_cuts(segments: int) -> Callable[[Motion], list[int]]:
    def cuts(motion: Motion) -> list[int]:
        edges = np.linspace(0, len(motion), segments + 1).round().astype(int)
        return sorted({int(e) for e in edges[1:-1]} - {0, len(motion)})

    return cuts


def _equal(config: LabelConfig) -> SubstepLabeller:
    if config.segments < 1:
        raise ConfigError(
            "an episode cannot be divided so", where="LabelConfig.segments", expected="at least 1",
            got=str(config.segments),
        )  # fmt: skip
    return CutLabeller(_equal_cuts(config.segments), config.facing, join=False)


def _learned(config: LabelConfig) -> SubstepLabeller:
    from vla_data.label.learned import BoundaryModel

    if config.model is None:
        raise ConfigError(
            "the learned labeller has no model",
            where="LabelConfig.model",
            expected="a file that BoundaryModel.save wrote",
            next_step="fit one with vla_data.label.learned.fit, then --set model=FILE",
        )
    return CutLabeller(BoundaryModel.load(config.model).cuts, config.facing)


def _command(config: LabelConfig) -> SubstepLabeller:
    from vla_data.label.command import CommandLabeller

    return CommandLabeller(config.command)


LABELLERS: dict[str, Callable[[LabelConfig], SubstepLabeller]] = {
    "kinematic": lambda c: CutLabeller(lambda m: kinematic_cuts(m, c.kinematic), c.facing),
    "gripper": lambda c: CutLabeller(lambda m: gripper_cuts(m, c.kinematic), c.facing, join=False),
    "equal": _equal,
    "learned": _learned,
    "command": _command,
}
