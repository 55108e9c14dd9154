"""Run every benchmark, one after the other, and say which missed its goal: `make bench`.

`--smoke` runs each in its short form, `--json` prints {"benchmarks": {name: {"checks": […]}}}; names as
arguments run only those. Exit code 1 when a check missed its goal or a benchmark failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _frame import Check, table

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """Every benchmark in this directory."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_") and p.stem != "run_all")


def run_one(name: str, smoke: bool) -> tuple[list[Check], str]:
    """The checks of a benchmark, and what went wrong ("" when it ran)."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *(["--smoke"] if smoke else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        document: dict[str, Any] = json.loads(done.stdout)
        return [Check(**check) for check in document["checks"]], ""
    except (ValueError, KeyError, TypeError):
        return [], f"exit code {done.returncode}, no checks"


def main() -> int:
    """Run what was asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="run_all", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(names())):
        parser.error(f"unknown benchmark {unknown[0]!r}; choose from {', '.join(names())}")
    results: dict[str, list[Check]] = {}
    failed: dict[str, str] = {}
    for name in options.names or names():
        began = time.perf_counter()
        results[name], problem = run_one(name, options.smoke)
        if problem:
            failed[name] = problem
        print(f"{name}: {problem or 'ran'} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        if not options.json and results[name]:
            print(table(name, results[name]) + "\n", flush=True)
    if options.json:
        as_dicts = {n: {"checks": [vars(c) for c in checks]} for n, checks in results.items()}
        print(json.dumps({"benchmarks": as_dicts, "failed": failed}, indent=2))
    missed = [f"{n}: {c.name}" for n, checks in results.items() for c in checks if not c.ok]
    for line in (*missed, *(f"{n}: {problem}" for n, problem in failed.items())):
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
