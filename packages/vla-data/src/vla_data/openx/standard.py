"""One entry a data set: which keys are the action, the state, the cameras, and what the numbers mean.

Readers translate foreign names here and nowhere else. Entries of Open X-Embodiment's data sets lie in
`vla_data.openx.standards`; a data set of your own carries one beside its files (`load_standard`). One
without an entry is read by what its keys are called (`vla_data.formats.rlds.guess`), and its action then
means nothing to a robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict, read_config_file
from vla_data.errors import ConfigError
from vla_data.openx.meanings import action_spec, state_dims
from vla_data.openx.pieces import (
    DepthPicture,
    Picture,
    Piece,
    parse_depth,
    parse_picture,
    parse_piece,
)
from vla_data.types import RobotSpec

Status = Literal["real", "synthetic", "unverified", "guessed"]
STATUS_WORDS: dict[str, str] = {
    "real": "verified on real episodes",
    "synthetic": "verified on synthetic episodes of its published features",
    "unverified": "unverified",
    "guessed": "guessed from the names of its keys",
}
ASSUMED_HZ = 10.0  # control rate of a data set that nothing is known of


@dataclass(frozen=True)
class Standard:
    """How a foreign data set says what this suite says. Keys are those below `steps/`.

    Args:
        robot: what its action and state mean.
        action: joined in order; none for data without actions.
        state: likewise; empty when it has none.
        cameras: role (primary, secondary, wrist, …) → where its frames lie.
        depth: role → where its depth lies.
        instruction: a text, or code points of one.
        paraphrases: other wordings of it.
        drop_still_start: the first action of each episode commands no motion; its step is dropped.
        source: the public place these conventions were read off.
        status: how far they were checked.
        rate_assumed: nobody published the control rate.
    """

    robot: RobotSpec
    action: tuple[Piece, ...]
    state: tuple[Piece, ...] = ()
    cameras: Mapping[str, Picture] = field(default_factory=dict)
    depth: Mapping[str, DepthPicture] = field(default_factory=dict)
    instruction: str | None = None
    paraphrases: tuple[str, ...] = ()
    drop_still_start: bool = False
    source: str = ""
    status: Status = "unverified"
    rate_assumed: bool = False

    @property
    def assumed(self) -> bool:
        """Whether meanings and the control rate are guesses from names alone."""
        return self.status == "guessed"


@dataclass(frozen=True)
class Entry:
    """An entry as it is written down, in code or in a `standard.toml`; `build` makes it a `Standard`.

    Args:
        robot: its name.
        hz: control rate; None when nobody published it.
        action: words for what the action's numbers mean (`vla_data.openx.meanings`).
        action_from: where they lie, such as "action[0:6]" and "action[6] clip invert".
        state: words for what the state's numbers mean.
        state_from: where they lie.
        cameras: role → key, "hand_image bgr" for one with red and blue swapped.
        depth: role → key and unit, such as "depth *0.001" for millimetres.
        instruction: its key, and then those of other wordings; separated by spaces.
        drop_still_start: as in `Standard`.
        source: as in `Standard`.
        status: as in `Standard`.
    """

    robot: str
    hz: float | None
    action: str = ""
    action_from: tuple[str, ...] = ()
    state: str = ""
    state_from: tuple[str, ...] = ()
    cameras: Mapping[str, str] = field(default_factory=dict)
    depth: Mapping[str, str] = field(default_factory=dict)
    instruction: str = "language_instruction"
    drop_still_start: bool = False
    source: str = ""
    status: Literal["real", "synthetic", "unverified"] = "unverified"

    def build(self, where: str = "entry") -> Standard:
        """The entry, read.

        Raises:
            ConfigError, UnknownNameError: a word, key or conversion in it cannot be read.
        """
        spec = action_spec(self.action, float(self.hz or ASSUMED_HZ), f"{where}, action")
        text, *others = self.instruction.split() or [None]
        return Standard(
            robot=RobotSpec(self.robot, spec, state_dims(self.state, f"{where}, state")),
            action=tuple(parse_piece(p, f"{where}, action_from") for p in self.action_from),
            state=tuple(parse_piece(p, f"{where}, state_from") for p in self.state_from),
            cameras={k: parse_picture(v, f"{where}, cameras.{k}") for k, v in self.cameras.items()},
            depth={k: parse_depth(v, f"{where}, depth.{k}") for k, v in self.depth.items()},
            instruction=text,
            paraphrases=tuple(o for o in others if o),
            drop_still_start=self.drop_still_start,
            source=self.source,
            status=self.status,
            rate_assumed=self.hz is None,
        )


def load_standard(path: str | Path) -> Standard:
    """The entry of a data set of your own: a TOML or JSON file with the fields of `Entry`.

    Raises:
        ConfigError: the file cannot be read, lacks a field or holds one of another type.
        UnknownNameError: a field, word or conversion does not exist; the message names the nearest.
    """
    path = Path(path)
    data = read_config_file(path)
    if isinstance(data, Mapping):
        data = {"hz": None, "source": str(path)} | dict(data)
    try:
        return from_dict(Entry, data).build(path.name)
    except ConfigError as error:
        error.where = f"{path}, {error.where}" if error.where else str(path)
        raise
