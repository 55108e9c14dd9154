"""The catalogue of Open X-Embodiment: every data set, what it holds, and what is odd about it.

Facts lie in `catalog.tsv` beside this module; cameras, state keys and how far a data set's conventions
were checked come from its entry (`vla_data.openx.entries`). Sizes, episodes and shards are those of one
inventory of the public bucket; `derived` data sets are other people's copies and are not in that bucket.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.openx.entries import find_standard
from vla_data.openx.standard import STATUS_WORDS, Status
from vla_data.registry import lookup

FILE_NAME = "catalog.tsv"
SUFFIX = "_converted_externally_to_rlds"  # of many names; they are found without it, too
GIB = 1 << 30
UNITS = " KMGT"  # each a thousand times the one before it
SIZE = re.compile(r"\s*(?P<number>[\d.]+)\s*(?P<unit>[KMGT]?)(?P<binary>I?)B?\s*")


@dataclass(frozen=True)
class CatalogEntry:
    """A data set of the catalogue; None or empty where nobody published it.

    Args:
        size_gib: of all files.
        shards: of all splits together.
        splits: name → episodes.
        control_hz: steps a second.
        robot: in words.
        cameras: role → key below `steps/`.
        depth: role → key below `steps/`.
        state_keys: keys below `steps/` the state is made of.
        state_encoding: POS_EULER (position, Euler angles), POS_QUAT, JOINT, NONE, …
        action_encoding: EEF_POS (end-effector deltas), EEF_ABS (absolute), EEF_VEL, JOINT_POS (deltas), …
        image_encoding: png, jpeg, none (plain numbers), undeclared (found by looking), or empty.
        action: names of its numbers once they are read.
        quirks: what to know before using it.
        derived: somebody's copy of another data set, not in the public bucket.
        sources: where these facts were read off.
        source: where its conventions were read off.
        status: how far those were checked.
    """

    name: str
    version: str
    size_gib: float | None
    episodes: int | None
    shards: int | None
    splits: Mapping[str, int]
    control_hz: float | None
    robot: str
    cameras: Mapping[str, str]
    depth: Mapping[str, str]
    state_keys: tuple[str, ...]
    state_encoding: str
    action_encoding: str
    image_encoding: str
    action: tuple[str, ...]
    quirks: tuple[str, ...]
    derived: bool
    sources: tuple[str, ...]
    source: str
    status: Status

    @property
    def short_name(self) -> str:
        """The name without the suffix that many share; `find_entry` takes it, too."""
        return self.name.removesuffix(SUFFIX)

    @property
    def bytes(self) -> int | None:
        """About how many, from the size in GiB."""
        return None if self.size_gib is None else round(self.size_gib * GIB)


HAS: dict[str, Callable[[CatalogEntry], bool]] = {
    "action": lambda e: bool(e.action),
    "depth": lambda e: bool(e.depth),
    "gripper": lambda e: any(name.endswith("gripper") for name in e.action),
    "quirks": lambda e: bool(e.quirks),
    "state": lambda e: bool(e.state_keys),
    "wrist": lambda e: _has_camera(e, "wrist"),
}


@cache
def catalog() -> Mapping[str, CatalogEntry]:
    """Name → entry, in order of names; read once."""
    text = files("vla_data.openx").joinpath(FILE_NAME).read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["name"]: _entry(row) for row in rows}


def find_entry(name: str) -> CatalogEntry:
    """The data set of that name, also without `_converted_externally_to_rlds`.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    known, full = catalog(), full_name(name)
    if full not in known:
        raise UnknownNameError("data set of Open X-Embodiment", name, [e.short_name for e in known.values()])
    return known[full]


def full_name(name: str) -> str:
    """The catalogued name of NAME or NAME/VERSION given without its suffix; any other as it is."""
    base, slash, version = name.partition("/")
    known = catalog()
    return f"{base}{SUFFIX}{slash}{version}" if base not in known and base + SUFFIX in known else name


def select(
    *,
    robot: str | None = None,
    camera: str | None = None,
    max_bytes: int | None = None,
    has: Iterable[str] = (),
    status: str | None = None,
) -> list[CatalogEntry]:
    """The data sets that fit, in order of names.

    Args:
        robot: part of its name, in any case.
        camera: a role, such as "wrist", which also finds "wrist_left".
        max_bytes: one whose size nobody published does not fit.
        has: names in `HAS`, all of which must hold.
        status: "real", "synthetic" or "unverified".

    Raises:
        UnknownNameError: no data set has such a robot or camera, or there is no such property or status.
    """
    found = list(catalog().values())
    if robot is not None:
        found = _with_robot(found, robot)
    if camera is not None:
        found = _with_camera(found, camera)
    if status is not None:
        lookup("status", STATUS_WORDS, status)
    tests = [lookup("property", HAS, name) for name in has]
    return [
        e
        for e in found
        if (max_bytes is None or (e.bytes is not None and e.bytes <= max_bytes))
        and (status is None or e.status == status)
        and all(test(e) for test in tests)
    ]


def parse_size(text: str) -> int:
    """Bytes from "5GB", "500 MB", "2TiB" or a plain number.

    Raises:
        ConfigError: it is no size.
    """
    match = SIZE.fullmatch(text.upper())
    try:
        number = float(match["number"]) if match else None
    except ValueError:
        number = None
    if match is None or number is None:
        raise ConfigError("a size cannot be read", expected="a number and a unit: 500MB, 5GB, 2TiB", got=text)
    power = UNITS.index(match["unit"] or " ")
    return round(number * (1024 if match["binary"] else 1000) ** power)


def _with_robot(entries: list[CatalogEntry], robot: str) -> list[CatalogEntry]:
    found = [e for e in entries if robot.lower() in e.robot.lower()]
    if not found:
        raise UnknownNameError("robot", robot, {e.robot for e in entries})
    return found


def _with_camera(entries: list[CatalogEntry], camera: str) -> list[CatalogEntry]:
    found = [e for e in entries if _has_camera(e, camera)]
    if not found:
        raise UnknownNameError("camera", camera, {c for e in entries for c in e.cameras})
    return found


def _has_camera(entry: CatalogEntry, camera: str) -> bool:
    return any(role == camera or role.startswith(f"{camera}_") for role in entry.cameras)


def _entry(row: Mapping[str, str]) -> CatalogEntry:
    standard = find_standard(row["name"])
    assert standard is not None
    splits = (part.split("=") for part in row["splits"].split())
    return CatalogEntry(
        name=row["name"],
        version=row["version"],
        size_gib=float(row["size_gib"]) if row["size_gib"] else None,
        episodes=int(row["episodes"]) if row["episodes"] else None,
        shards=int(row["shards"]) if row["shards"] else None,
        splits={split: int(count) for split, count in splits},
        control_hz=float(row["control_hz"]) if row["control_hz"] else None,
        robot=row["robot"],
        cameras={role: picture.key for role, picture in standard.cameras.items()},
        depth={role: picture.key for role, picture in standard.depth.items()},
        state_keys=tuple(dict.fromkeys(p.key for p in standard.state)),
        state_encoding=row["state_encoding"],
        action_encoding=row["action_encoding"],
        image_encoding=row["image_encoding"],
        action=tuple(d.name for d in standard.robot.action.dims),
        quirks=_parts(row["quirks"]),
        derived=row["derived"] == "yes",
        sources=_parts(row["sources"]),
        source=standard.source,
        status=standard.status,
    )


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("; ") if part)
