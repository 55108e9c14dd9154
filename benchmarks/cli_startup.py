"""How long `vla … --help` takes: the shipped text, beside a bare interpreter and the live (uncached) help.

Every figure is the median wall time of fresh processes, run in turn so that a busy machine slows all alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from _frame import Check, run

LIMIT_MS = 150.0
RUNS, SMOKE_RUNS = 21, 15
GROUPS = ("data", "vision", "ts", "model", "prompt", "eval", "experiment", "serve", "sim")
LEAVES = (("quickstart",), ("doctor",), ("report",), ("data", "generate"), ("model", "finetune"))
BARE = "bare python -c pass"
LIVE = "live vla --help"


def main(smoke: bool) -> list[Check]:
    """Time every command in turn; the peers are checks of nothing and go into each row's peer column."""
    vla = str(Path(sys.executable).with_name("vla"))
    live = "import sys; from vla_cli.errors import run_live; sys.exit(run_live(['--help']))"
    commands = {BARE: [sys.executable, "-c", "pass"], LIVE: [sys.executable, "-c", live]}
    for words in ((), *((g,) for g in GROUPS), *LEAVES):
        commands[" ".join(("vla", *words, "--help"))] = [vla, *words, "--help"]
    commands["vla --version"] = [vla, "--version"]
    medians = _medians(commands, SMOKE_RUNS if smoke else RUNS)
    peer = f"bare python {medians.pop(BARE):.0f} ms, live help {medians.pop(LIVE):.0f} ms"
    return [
        Check(name, round(ms, 1), "ms", f"<= {LIMIT_MS:.0f} ms", peer, ms <= LIMIT_MS)
        for name, ms in medians.items()
    ]


def _medians(commands: dict[str, list[str]], runs: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(t) for name, t in times.items()}


if __name__ == "__main__":
    run(main, "cli_startup")
