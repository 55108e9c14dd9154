"""What a machine has of what the suite needs, each thing with the command that mends it.

Nothing heavy is imported here: a driver that crashes or hangs, or a broken torch, is found out in a process
of its own with a time limit.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from vla_cli.main import PACKAGES
from vla_data.errors import MissingDependencyError

State = Literal["ok", "missing", "optional"]
NEEDED_EXTRAS = {("vla-data", "images"), ("vla-data", "rlds"), ("vla-data", "sim"), ("vla-data", "train")}
GIB = 1024**3
NEEDED_DISK, NEEDED_MEMORY = 2 * GIB, 3 * GIB  # of the quick start, with room to spare
GL_SECONDS, GPU_SECONDS = 120.0, 60.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `missing` keeps the quick start from running, `optional` does not."""

    section: str
    name: str
    state: State
    value: str
    fix: str | None = None


def diagnose() -> list[Finding]:
    """Every finding, section by section; the slow checks run side by side."""
    checks: list[Callable[[], list[Finding]]] = [python, packages, extras, graphics, gpu, machine, locations]
    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]


def python() -> list[Finding]:
    """The interpreter and where it lives."""
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    fix = None if fits else "install Python 3.11, 3.12 or 3.13 and set up again"
    return [
        Finding("Python", "version", "ok" if fits else "missing", version, fix),
        Finding("Python", "environment", "ok", sys.prefix),
    ]


def packages() -> list[Finding]:
    """The five packages and the libraries a package needs without any extra."""
    found = []
    for name in PACKAGES:
        version = installed(name)
        absent = [r for r in requirements(name, "") if installed(r) is None] if version else []
        value = f"{version or 'not installed'}{', without ' + ', '.join(absent) if absent else ''}"
        broken = version is None or bool(absent)
        found.append(
            Finding(
                "Packages", name, "missing" if broken else "ok", value, _install(name) if broken else None
            )
        )
    return found


def extras() -> list[Finding]:
    """Every extra of the five packages, with the libraries it lacks."""
    found = []
    for package in PACKAGES:
        for extra in (
            (metadata.metadata(package).get_all("Provides-Extra") or []) if installed(package) else []
        ):
            names = requirements(package, extra)
            if not names:  # only gathers other extras
                continue
            absent = [n for n in names if installed(n) is None]
            state: State = "ok" if not absent else "optional"
            if absent and (package, extra) in NEEDED_EXTRAS:
                state = "missing"
            value = (
                f"without {', '.join(absent)}" if absent else ", ".join(f"{n} {installed(n)}" for n in names)
            )
            fix = _install(f"{package}[{extra}]") if absent else None
            found.append(Finding("Packages", f"{package}[{extra}]", state, value, fix))
    return found


def requirements(package: str, extra: str) -> list[str]:
    """Names of the distributions a package requires under one extra ("" for none), siblings apart."""
    names = []
    for line in metadata.requires(package) or []:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        wanted = re.search(r"extra == ['\"]([^'\"]+)", line)
        if name and (wanted.group(1) if wanted else "") == extra and name.group() not in PACKAGES:
            names.append(name.group())
    return names


def installed(name: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def graphics() -> list[Finding]:
    """Whether MuJoCo can draw without a screen."""
    try:
        from vla_data.sim.gl import INSTALL
    except ImportError as error:
        broken = f"cannot be tried: {error}"
        return [Finding("Graphics", "off-screen OpenGL", "missing", broken, _install("vla-data[sim]"))]
    status, output = probe([sys.executable, "-m", "vla_data.sim.gl"], GL_SECONDS)
    if status == 0:
        return [Finding("Graphics", "off-screen OpenGL", "ok", output or "works")]
    return [Finding("Graphics", "off-screen OpenGL", "missing", output or f"exit status {status}", INSTALL)]


def gpu() -> list[Finding]:
    """The GPUs of the machine, and whether torch reaches them."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    status, output = probe(query, GPU_SECONDS)
    if status != 0:
        return [Finding("Graphics", "GPU", "optional", "none found: everything runs on the processor")]
    names = "; ".join(line.strip() for line in output.splitlines())
    code = "import torch; print(torch.version.cuda if torch.cuda.is_available() else '')"
    status, cuda = probe([sys.executable, "-c", code], GPU_SECONDS)
    if status == 0 and cuda:
        return [Finding("Graphics", "GPU", "ok", f"{names}, torch with CUDA {cuda}")]
    fix = "install a driver that fits torch's CUDA: nvidia-smi shows the driver's version"
    return [Finding("Graphics", "GPU", "optional", f"{names}, which torch cannot use", fix)]


def probe(command: list[str], seconds: float) -> tuple[int | None, str]:
    """Exit status and last words of a command; status None when it is absent or ran too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {seconds:g} s"
    except OSError:
        return None, "not found"
    lines = done.stdout.strip() or done.stderr.strip()
    return done.returncode, lines if done.returncode == 0 else lines.rpartition("\n")[2]


def machine() -> list[Finding]:
    """Cores, memory and disk."""
    from vla_data.pool import cpu_count

    found = [Finding("Machine", "cores", "ok", str(cpu_count()))]
    memory = available_memory()
    if memory is not None:
        fix = "close other programs, or use fewer --workers" if memory < NEEDED_MEMORY else None
        value = f"{memory / GIB:.1f} GiB free"
        found.append(Finding("Machine", "memory", "optional" if fix else "ok", value, fix))
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= NEEDED_DISK
    fix = None if enough else "free some space, or run from another disk"
    value = f"{free / GIB:.1f} GiB free here"
    return [*found, Finding("Machine", "disk", "ok" if enough else "missing", value, fix)]


def available_memory() -> int | None:
    """Bytes this process may still take: what the system has free, or the container's limit leaves."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())  # "max" without a limit
        return min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return free


def locations() -> list[Finding]:
    """Where data, runs and assets lie."""
    from vla_cli.options import data_directory

    data = data_directory()
    runs = Path("runs")
    return [
        Finding("Places", "data", "ok", f"{data.absolute()}{'' if data.is_dir() else ', not there yet'}"),
        Finding(
            "Places", "runs", "ok" if writable(runs) else "missing", str(runs.absolute()), _runs_fix(runs)
        ),
        libero_assets(),
    ]


def libero_assets() -> Finding:
    """The object models LIBERO's wheel comes without."""
    try:
        from vla_data.sim.libero_names import assets_folder

        return Finding("Places", "LIBERO assets", "ok", str(assets_folder()))
    except (MissingDependencyError, ImportError) as error:
        where = getattr(error, "where", None)
        value = f"not in {where}" if where else str(error)
        fix = "vla sim setup libero"
        return Finding("Places", "LIBERO assets", "optional", value, fix)


def writable(path: Path) -> bool:
    """Whether a directory can be written to, or made."""
    existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def _runs_fix(runs: Path) -> str | None:
    return None if writable(runs) else "run from a directory you can write to"


def _install(requirement: str) -> str:
    """The command that installs a package: the set-up script in a checkout, pip elsewhere."""
    try:
        origin = metadata.distribution("vla-cli").read_text("direct_url.json") or ""
    except metadata.PackageNotFoundError:
        origin = ""
    return (
        "rm -f .venv/.setup-stamp && scripts/setup"
        if '"editable":true' in origin.replace(" ", "")
        else (f"pip install '{requirement}'")
    )
