"""The quick start, whole: does one policy, trained here in minutes, do what it is told where it never was?

Beside it in the same run, under the same protocol: the scripted expert it learned from, and random actions.
The full benchmark runs it twice, to see that one seed gives one outcome.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from _frame import Check, measure, run

VLA = str(Path(sys.executable).with_name("vla"))
POLICY, UNSEEN, PERMUTED = "policy", "policy, unseen wording", "policy, permuted instructions"
EXPERT, RANDOM = "scripted expert", "random"
LIMIT_MINUTES = {False: 12.0, True: 3.0}


def main(smoke: bool) -> list[Check]:
    """Run the quick start in an empty directory and read its summary."""
    with tempfile.TemporaryDirectory() as directory:
        minutes, summary = _quickstart(Path(directory) / "first", smoke)
        limit = LIMIT_MINUTES[smoke]
        checks = [
            Check("time on this machine", minutes, "min", f"<= {limit:g}", "—", minutes <= limit),
        ]
        if smoke:
            return checks
        again = _quickstart(Path(directory) / "second", smoke)[1]
    success = summary["success"]
    same = success == again["success"]
    return [*checks, *_success(success), Check("same seed, same counts", float(same), "", "1", "—", same)]


def _success(success: dict[str, dict[str, Any]]) -> list[Check]:
    rate = {arm: 100 * counts["rate"] for arm, counts in success.items()}
    peer = f"expert {rate[EXPERT]:.0f}%, random {rate[RANDOM]:.0f}%"
    drop = rate[POLICY] - rate[UNSEEN]
    own = {t: c for t, c in success[POLICY].items() if t not in ("all", "rate")}
    return [
        Check("success, unseen placements", rate[POLICY], "%", ">= 90", peer, rate[POLICY] >= 90),
        Check("random policy", rate[RANDOM], "%", "<= 10", peer, rate[RANDOM] <= 10),
        Check("lost on unseen wordings", drop, "points", "<= 10", f"seen {rate[POLICY]:.0f}%", drop <= 10),
        Check("permuted instructions", rate[PERMUTED], "%", "shown", f"own {rate[POLICY]:.0f}%", True),
        *(
            Check(f"  {task}", _percent(count), "%", "shown", f"expert {success[EXPERT][task]}", True)
            for task, count in own.items()
        ),
    ]


def _percent(count: str) -> float:
    won, trials = map(int, count.split("/"))
    return 100 * won / trials


def _quickstart(out: Path, smoke: bool) -> tuple[float, dict[str, Any]]:
    command = [VLA, "quickstart", "--json", "--out", str(out), *(["--smoke"] if smoke else [])]
    usage = measure(command, timeout=3600)
    return usage.wall_seconds / 60, json.loads(usage.stdout)


if __name__ == "__main__":
    run(main, "quickstart")
