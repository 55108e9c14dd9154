"""The frame of every benchmark: measured values beside a goal and a peer, as a table or one JSON document.

A benchmark is `main(smoke) -> list[Check]` handed to `run`; figures that matter for memory or CPU time are
taken from a child process of their own (`measure`), so that nothing imported before colours them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One figure: `goal` says in words what it must reach, `peer` what it stands beside."""

    name: str
    value: float
    unit: str
    goal: str
    peer: str
    ok: bool


@dataclass(frozen=True)
class Usage:
    """What a child process took: seconds on the clock and on the processor, peak resident bytes, output."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss: int
    stdout: str


def run(main: Callable[[bool], list[Check]], name: str) -> None:
    """Run a benchmark from the command line; exits 1 when a check misses its goal."""
    options = _parser(name).parse_args()
    _tell(name, main(options.smoke), options.json)


def run_in(main: Callable[[bool, Path], list[Check]], name: str, home: Path) -> None:
    """`run` for a benchmark that keeps data and weights; a short run keeps nothing."""
    parser = _parser(name)
    parser.add_argument("--out", type=Path, default=home, help="where data and weights are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checks = main(options.smoke, Path(folder) if options.smoke else options.out)
    _tell(name, checks, options.json)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--json", action="store_true", help='print {"checks": […]} only')
    parser.add_argument("--smoke", action="store_true", help="a short run that only shows that it works")
    return parser


def _tell(name: str, checks: Sequence[Check], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"checks": [asdict(c) for c in checks]}, indent=2))
    else:
        print(table(name, checks))
    sys.exit(0 if all(c.ok for c in checks) else 1)


def table(name: str, checks: Sequence[Check]) -> str:
    """The checks as aligned text."""
    rows = [("check", "value", "goal", "peer", "")]
    rows += [(c.name, f"{c.value:,.4g} {c.unit}", c.goal, c.peer, "ok" if c.ok else "MISSED") for c in checks]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([name, lines[0], "-" * max(map(len, lines)), *lines[1:]])


@contextmanager
def one_core() -> Iterator[None]:
    """Keep every thread of this process on one core meanwhile, those of libraries too."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measure(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    timeout: float = 600.0,
    cwd: Path | None = None,
) -> Usage:
    """Run a command to its end; its own time and memory, children it waited for included in the CPU time.

    Raises:
        RuntimeError: the command failed or ran past `timeout` seconds.
    """
    began = time.perf_counter()
    child = subprocess.Popen(command, env={**os.environ, **(env or {})}, cwd=cwd, stdout=subprocess.PIPE)
    try:
        output, usage = _wait(child, began + timeout)
    finally:
        if child.returncode is None:
            child.kill()
            child.wait()
    if child.returncode != 0:
        raise RuntimeError(f"exit code {child.returncode}: {' '.join(command)}")
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is bytes there, kilobytes elsewhere
    wall, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return Usage(wall, cpu, usage.ru_maxrss * scale, output)


def _wait(child: subprocess.Popen[bytes], deadline: float) -> tuple[str, resource.struct_rusage]:
    """Output and resource usage of a child; `wait4` is what tells one child's figures from another's."""
    assert child.stdout is not None
    timer = threading.Timer(max(0.0, deadline - time.perf_counter()), child.kill)
    timer.start()
    try:
        output = child.stdout.read().decode()
        _, status, usage = os.wait4(child.pid, 0)
    finally:
        timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return output, usage
