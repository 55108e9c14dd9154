"""Run directories: stages that are files, can be resumed, skipped when up to date, and audited.

A stage owns one directory. While it works it may keep whatever it needs to resume there; when it is done
it writes `manifest.json` last: its config, the digests of its inputs, and size and sha256 of each output.
A stage whose manifest still fits its config, inputs and files is skipped. The same manifest makes a
checkpoint: a directory that does not match it is refused.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from vla_data.config import config_hash, from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError
from vla_data.files import read_json, sha256_file, write_json
from vla_data.pool import cpu_count, is_helper
from vla_data.report import SECTIONS, Section, load_sections, save_sections

MANIFEST = "manifest.json"
PACKAGES = ("vla-data", "vla-vision", "vla-ts", "vla-model", "vla-cli", "numpy", "torch", "mujoco")


@dataclass(frozen=True)
class Output:
    """A file of a stage."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a directory holds and what it was made from.

    Args:
        stage: name of what made it.
        config: the resolved configuration.
        inputs: name → digest of the manifest it was read from.
        outputs: path inside the directory → its size and sha256.
        versions: package → version.
        seconds: wall time the stage took, over all its attempts that were recorded.
        summary: the stage's result in a few plain values.
        machine: where it ran.
    """

    stage: str
    config: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    summary: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    format: int = 1

    @property
    def digest(self) -> str:
        """Identity of the content: config, inputs and outputs, not when, where or how fast it was made.

        The page's sections are left out: they hold timings.
        """
        parts = {"stage": self.stage, "config": self.config, "inputs": self.inputs}
        parts["outputs"] = {k: v.sha256 for k, v in self.outputs.items() if k != SECTIONS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def save(self, directory: Path) -> None:
        write_json(directory / MANIFEST, to_dict(self))

    @classmethod
    def load(cls, directory: Path) -> Manifest:
        """Raises DataError when there is none or it cannot be read."""
        path = directory / MANIFEST
        try:
            return from_dict(cls, read_json(path), where=str(path))
        except ConfigError as error:
            raise DataError("a manifest cannot be read", where=str(path), got=str(error)) from error


def make_manifest(
    directory: Path,
    stage: str,
    config: Any,
    inputs: Mapping[str, str] | None = None,
    **rest: Any,
) -> Manifest:
    """A manifest over every file now in `directory`, hidden ones apart; not yet saved."""
    outputs = {
        path.relative_to(directory).as_posix(): Output(path.stat().st_size, sha256_file(path))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not _hidden(path, directory)
    }
    return Manifest(
        stage, to_dict(config), dict(inputs or {}), outputs, installed_versions(), machine=machine(), **rest
    )


def verify(directory: Path) -> Manifest:
    """The manifest of `directory`, once every file it names was found to match it.

    Raises:
        CheckpointError: a file is missing, or has another size or sha256.
    """
    manifest = Manifest.load(directory)
    for name, output in manifest.outputs.items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise CheckpointError("a manifest names a file outside its directory", where=name)
        problem = _mismatch(path, output)
        if problem is not None:
            raise CheckpointError(
                "a file does not match its manifest",
                where=str(path),
                expected=f"{output.bytes} bytes, sha256 {output.sha256[:16]}…",
                got=problem,
                next_step="restore the directory from where it was made, or remove it and make it again",
            )
    return manifest


def _mismatch(path: Path, output: Output) -> str | None:
    if not path.is_file():
        return "no file"
    if path.stat().st_size != output.bytes:
        return f"{path.stat().st_size} bytes"
    digest = sha256_file(path)
    return None if digest == output.sha256 else f"sha256 {digest[:16]}…"


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Args:
        name: what it does, in a word.
        directory: the directory it owns.
        config: everything its result depends on, apart from its inputs.
        inputs: directories of the stages it reads.
        work: does it; resumes what an earlier attempt left in the directory. Gives the summary and
            the sections of its page.
    """

    name: str
    directory: Path
    config: Any
    inputs: tuple[Path, ...]
    work: Callable[[], tuple[dict[str, Any], list[Section]]]


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: its manifest, and whether it had been done before."""

    manifest: Manifest
    skipped: bool


def run_stage(stage: Stage) -> StageResult:
    """Do a stage unless it is up to date.

    The config of an unfinished attempt is kept in `.attempt.json`; a later attempt with another config or
    other inputs is refused, since it would mix two runs in one directory.
    """
    inputs = _input_digests(stage.inputs)
    done = _finished(stage, inputs)
    if done is not None:
        return StageResult(done, skipped=True)
    if is_helper():
        stage.work()
        raise SystemExit(0)
    stage.directory.mkdir(parents=True, exist_ok=True)
    identity = {"config": config_hash(stage.config), "inputs": inputs}
    spent = _earlier_attempts(stage, identity)
    started = time.monotonic()
    try:
        summary, sections = stage.work()
    finally:
        spent += time.monotonic() - started
        _note_attempt(stage.directory / ".attempt.json", identity | {"seconds": spent})
    save_sections(stage.directory, sections)
    manifest = make_manifest(
        stage.directory, stage.name, stage.config, inputs, seconds=round(spent, 2), summary=summary
    )
    manifest.save(stage.directory)
    return StageResult(manifest, skipped=False)


def _note_attempt(path: Path, attempt: dict[str, Any]) -> None:
    """Keep what an attempt was; one that left nothing claims nothing, so a mistyped name can be mended."""
    if any(p != path for p in path.parent.iterdir()):
        write_json(path, attempt)
    else:
        path.unlink(missing_ok=True)


def _input_digests(directories: Sequence[Path]) -> dict[str, str]:
    names = [d.name for d in directories]  # two data sets may both end in 1.0.0
    keys = [n if names.count(n) == 1 else f"{n}#{i}" for i, n in enumerate(names)]
    return {key: Manifest.load(d).digest for key, d in zip(keys, directories, strict=True)}


def _finished(stage: Stage, inputs: dict[str, str]) -> Manifest | None:
    if not (stage.directory / MANIFEST).is_file():
        return None
    manifest = verify(stage.directory)
    if config_hash(manifest.config) == config_hash(stage.config) and manifest.inputs == inputs:
        return manifest
    raise DataError(
        f"stage {stage.name!r} was already run here with another configuration or other inputs",
        where=str(stage.directory),
        next_step=f"choose another --out, or remove the directory to run it again: rm -r {stage.directory}",
    )


def _earlier_attempts(stage: Stage, identity: dict[str, Any]) -> float:
    path = stage.directory / ".attempt.json"
    if not path.exists():
        _require_own(stage)
        write_json(path, identity | {"seconds": 0.0})
        return 0.0
    earlier = read_json(path)
    if {k: earlier.get(k) for k in identity} != identity:
        raise DataError(
            f"an unfinished {stage.name!r} with another configuration or other inputs is here",
            where=str(stage.directory),
            next_step=f"choose another --out, or remove the directory to start over: rm -r {stage.directory}",
        )
    return float(earlier["seconds"])


def _require_own(stage: Stage) -> None:
    """A manifest lists every file of its directory, so a stage does not move in with somebody's files."""
    foreign = sorted(p.name for p in stage.directory.iterdir() if not p.name.startswith("."))
    if foreign:
        raise DataError(
            f"the directory for stage {stage.name!r} holds files of something else",
            where=str(stage.directory),
            expected="an empty or new directory, or one of this stage",
            got=", ".join(foreign[:4]) + (", …" if len(foreign) > 4 else ""),
            next_step="choose another --out",
        )


def load_run_sections(run: Path) -> list[Section]:
    """The sections of every finished stage under `run`, in the order the stages ended."""
    directories = [p.parent for p in run.rglob(MANIFEST) if not _hidden(p, run)]
    ordered = sorted(directories, key=lambda d: ((d / MANIFEST).stat().st_mtime_ns, str(d)))
    return [section for d in ordered for section in load_sections(d)]


def installed_versions() -> dict[str, str]:
    """Versions of the packages a result depends on, those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The machine in a few words: system, architecture, cores. No host name."""
    return f"{platform.system()} {platform.machine()}, {cpu_count()} cores"
