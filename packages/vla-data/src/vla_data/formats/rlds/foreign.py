"""Episodes of data sets that others wrote: read as their entry in `vla_data.openx` says, or by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vla_data.errors import DataError, nearest_names
from vla_data.formats.example import Example
from vla_data.formats.features import Leaf
from vla_data.formats.leaves import decode_leaf, first_text
from vla_data.formats.pictures import DepthFrames, SwappedImages
from vla_data.formats.rlds.guess import guess, width
from vla_data.formats.unknown import SERIES_LIMIT
from vla_data.images import EncodedImages, size
from vla_data.openx.pieces import Piece
from vla_data.openx.standard import Standard
from vla_data.types import ArrayImages, Camera, Episode, ImageSequence, RobotSpec

STILL = 1e-5  # motion below this is the rounding of a zero
LENGTH_KEYS = ("steps/is_last", "steps/is_first", "steps/reward")  # tell the steps of data without actions


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
        named = {f"steps/{k}": f"series {k}" for k in self._series_keys}
        named |= {f"steps/{p.key}": "state" for p in s.state} | {f"steps/{p.key}": "action" for p in s.action}
        named |= {f"steps/{p.key}": f"camera {role}" for role, p in s.cameras.items()}
        named |= {f"steps/{d.key}": f"depth {role}" for role, d in s.depth.items()}
        named |= {f"steps/{k}": "paraphrase" for k in s.paraphrases}
        return named | ({f"steps/{s.instruction}": "instruction"} if s.instruction else {})

    def episode(self, example: Example, fallback_id: str, images: bool) -> Episode:
        """The episode of a record; without `images`, no frame and no depth of it is looked at."""
        s = self.standard
        values: dict[str, np.ndarray] = {}
        action = self._joined(example, s.action, values)
        steps = len(action)
        first = 1 if s.drop_still_start and self._starts_still(action) else 0
        return Episode(
            id=fallback_id,
            robot=s.robot,
            action=action[first:],
            state=self._joined(example, s.state, values, steps)[first:],
            time=(np.arange(steps) / s.robot.action.control_hz)[first:],
            images={role: self._frames(example, role, first) for role in s.cameras if images},
            instruction=self._text(example, s.instruction) if s.instruction else "",
            paraphrases=self._paraphrases(example),
            depth={role: self._depth(example, role, first) for role in s.depth if images},
            cameras=dict(self.cameras),
            series={k: self._values(example, k, values)[first:] for k in self._series_keys},
            metadata=self._metadata(example),
        )

    def _values(self, example: Example, key: str, values: dict[str, np.ndarray]) -> np.ndarray:
        """The numbers of a key, decoded once an episode."""
        if key not in values:
            values[key] = np.asarray(decode_leaf(example, f"steps/{key}", self.leaves[f"steps/{key}"]))
        return values[key]

    def _joined(
        self, example: Example, pieces: tuple[Piece, ...], values: dict[str, np.ndarray], steps: int = -1
    ) -> np.ndarray:
        if not pieces:
            return np.zeros((self._length(example) if steps < 0 else steps, 0), np.float32)
        parts = [p.take(self._values(example, p.key, values)) for p in pieces]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _length(self, example: Example) -> int:
        """Steps of an episode without an action."""
        key = next((k for k in LENGTH_KEYS if k in self.leaves), None)
        return len(decode_leaf(example, key, self.leaves[key])) if key else 0

    def _starts_still(self, action: np.ndarray) -> bool:
        moving = [i for i, d in enumerate(self.robot.action.dims) if d.quantity != "gripper"]
        return len(action) > 1 and bool((np.abs(action[0, moving]) < STILL).all())

    def _frames(self, example: Example, role: str, first: int) -> ImageSequence:
        picture, camera = self.standard.cameras[role], self.cameras[role]
        key = f"steps/{picture.key}"
        stored = decode_leaf(example, key, self.leaves[key])[first:]
        frames: ImageSequence
        if self.leaves[key].kind == "tensor":
            frames = ArrayImages(stored)
        else:
            frames = EncodedImages(stored, f"{example.where}, key {key!r}", (camera.height, camera.width))
        return SwappedImages(frames) if picture.bgr else frames

    def _depth(self, example: Example, role: str, first: int) -> DepthFrames:
        key = f"steps/{self.standard.depth[role].key}"
        stored = decode_leaf(example, key, self.leaves[key])[first:]
        shape = _frame_size(key, self.leaves[key], lambda: example)
        return DepthFrames(stored, self.standard.depth[role].metres, shape, f"{example.where}, key {key!r}")

    def _paraphrases(self, example: Example) -> tuple[str, ...]:
        texts = (self._text(example, key) for key in self.standard.paraphrases)
        return tuple(t for t in texts if t)

    def _text(self, example: Example, key: str) -> str:
        key = f"steps/{key}"
        if self.leaves[key].kind == "text":
            return first_text(example, key)
        points = decode_leaf(example, key, self.leaves[key])
        return "".join(map(chr, points[0][points[0] > 0])) if len(points) else ""

    def _metadata(self, example: Example) -> dict[str, Any]:
        found = {}
        for key, leaf in self.leaves.items():
            if leaf.rank == 0 and leaf.shape == () and leaf.kind in ("tensor", "text") and key in example:
                value = decode_leaf(example, key, leaf)
                found[key.removeprefix("episode_metadata/")] = value if leaf.kind == "text" else value.item()
        return found

    @cached_property
    def _series_keys(self) -> list[str]:
        """Numbers that are neither action nor state as a whole: what was converted is kept as it was, too."""
        taken = {p.key for p in (*self.standard.action, *self.standard.state) if p.whole}
        return [
            name
            for key, leaf in self.leaves.items()
            if key.startswith("steps/") and leaf.rank == 1 and leaf.kind == "tensor"
            and 0 < width(leaf) <= SERIES_LIMIT
            and (name := key.removeprefix("steps/")) not in taken
        ]  # fmt: skip


def open_foreign(
    standard: Standard | None, leaves: Mapping[str, Leaf], first: Callable[[], Example], where: str
) -> ForeignDoor:
    """The door of a data set: by its entry, or by a guess from what its keys are called.

    Args:
        first: gives the first record; only read when an image's size is not declared.

    Raises:
        DataError: the data set lacks a key its entry names, its numbers are of another width than the entry
            says, or no key looks like an action.
    """
    standard = standard or guess(leaves, where)
    _check_keys(standard, leaves, where)
    _check_widths("action", standard.action, standard.robot.action.dim, leaves, where)
    _check_widths("state", standard.state, len(standard.robot.state), leaves, where)
    cameras = {}
    for role, picture in standard.cameras.items():
        key = f"steps/{picture.key}"
        height, width_ = _frame_size(key, leaves[key], first)
        cameras[role] = Camera(role, width_, height)
    return ForeignDoor(standard, dict(leaves), cameras)


def _check_keys(standard: Standard, leaves: Mapping[str, Leaf], where: str) -> None:
    s = standard
    parts = (*s.action, *s.state, *s.cameras.values(), *s.depth.values())
    texts = [k for k in (s.instruction, *s.paraphrases) if k]
    for key in (*(f"steps/{p.key}" for p in parts), *(f"steps/{t}" for t in texts)):
        if key not in leaves:
            near = nearest_names(key, [k for k in leaves if k.startswith("steps/")])
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                "a data set lacks a key that its entry names",
                where=where,
                expected=key,
                got=", ".join(sorted(leaves)),
                next_step=f"{hint}Say what its keys are in a standard.toml beside its files, "
                "or read another version of it",
            )


def _check_widths(
    what: str, pieces: tuple[Piece, ...], expected: int, leaves: Mapping[str, Leaf], where: str
) -> None:
    """Hold what the keys give against what the entry says the numbers mean."""
    widths = []
    for piece in pieces:
        held = width(leaves[f"steps/{piece.key}"])
        if piece.columns and max(piece.columns) >= held:
            got = f"column {max(piece.columns)} of {held}"
            raise _misfit(what, f"{where}, steps/{piece.key}", f"at most column {held - 1}", got)
        widths.append(held if piece.columns is None else len(piece.columns))
    if sum(widths) != expected:
        got = " + ".join(map(str, widths)) or "none"
        raise _misfit(what, where, f"{expected} numbers, as the entry's words say", got)


def _misfit(what: str, where: str, expected: str, got: str) -> DataError:
    return DataError(
        f"the {what} of a data set is of another width than its entry says",
        where=where,
        expected=expected,
        got=got,
        next_step="correct the entry with a standard.toml beside the data set",
    )


def _frame_size(key: str, leaf: Leaf, first: Callable[[], Example]) -> tuple[int, int]:
    height, width_ = (*leaf.shape, None, None)[:2]
    if height is None or width_ is None:
        frames = decode_leaf(first(), key, leaf)
        return size(frames[0], key) if len(frames) else (0, 0)
    return height, width_
