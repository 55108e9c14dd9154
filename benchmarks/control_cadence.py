"""How punctual the control loop is, and how smooth what it sends, while a policy elsewhere thinks.

A joint-level arm (robosuite's Panda, in continuous time) in its own process is driven by a policy behind a
websocket in another, whose answers take 0–300 ms by chance: 10 minutes at 20 Hz, 30 at 50 Hz. Counted are
ticks that begin more than a quarter of a period late, and moments at which a moving arm had nothing to do;
chunks hold a second. Jerk is the third difference of what reached the motors, root mean square over joints
and time; the peers are the same loop switching chunks at once, and a loop that waits for each answer and then
plays it (two minutes each).

    .venv/bin/python benchmarks/control_cadence.py [--smoke] [--json] [--hz 20 50]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from _frame import Check, run
from _waving import TOKEN, served
from vla_data.robots.policy_motion import AsyncConfig
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.station import StationConfig
from vla_data.robots.tracing import read_trace

SLOWEST = 0.3
MINUTES = {20.0: 10.0, 50.0: 30.0}  # by rate
PEER_MINUTES = 2.0


@dataclass(frozen=True)
class Drive:
    """What a run came to."""

    cadence: dict[str, float]
    jerk: float
    sent: int


def main(smoke: bool, rates: tuple[float, ...] = tuple(MINUTES)) -> list[Check]:
    """Long runs as the suite drives, short ones of the peers."""
    return [check for hz in rates for check in _at(hz, 0.1 if smoke else MINUTES[hz], smoke)]


def _at(hz: float, minutes: float, smoke: bool) -> list[Check]:
    ours = _driven(hz, minutes, AsyncConfig())
    short = 0.1 if smoke else PEER_MINUTES
    at_once, waits = _driven(hz, short, AsyncConfig(blend=0)), _waiting(hz, short)
    told = f"{ours.cadence['ticks']:.0f} ticks, {minutes:g} min"
    late, empty = 100 * ours.cadence["late_share"], ours.cadence["underruns"]
    moved, peers = (100 * d.sent / d.cadence["ticks"] for d in (ours, waits))
    smoother = smoke or ours.jerk < at_once.jerk
    rows = (
        ("late ticks", late, "%", "<= 0.5", told, late <= 0.5),
        ("99% begin within", ours.cadence["p99"] * 1000, "ms", "shown", f"period {1000 / hz:g} ms", True),
        ("moments without an action", empty, "", "0", f"answers take 0–{SLOWEST:g} s", empty == 0),
        ("jerk", ours.jerk, "rad/s³", "below the peer", f"switching at once {at_once.jerk:.3g}", smoother),
        ("jerk of waiting for each answer", waits.jerk, "rad/s³", "shown", "", True),
        ("actions a tick", moved, "%", "shown", f"waiting for each answer {peers:.0f}", True),
    )
    return [Check(f"{hz:g} Hz: {row[0]}", *row[1:]) for row in rows]


def _driven(hz: float, minutes: float, driving: AsyncConfig, horizon: float = 1.0) -> Drive:
    with tempfile.TemporaryDirectory() as folder, served(hz, SLOWEST, horizon) as (address, _):
        trace = Path(folder) / "trace.jsonl"
        station = StationConfig(
            "arm", ("wave",), address, TOKEN, steps=10**8, control_hz=hz, trace=trace, driving=driving
        )
        with RobotProcess(station) as link:
            before, cadence = _run(link, minutes * 60)
        actions = [line["action"] for line in read_trace(trace) if line["did"] == "send"][before:]
        return Drive(cadence, _jerk(np.array(actions), hz), len(actions))


def _waiting(hz: float, minutes: float) -> Drive:
    """Short chunks, asked for when the last is used up: `execute` longer than a chunk never asks early."""
    return _driven(hz, minutes, AsyncConfig(execute=10**6, blend=0), horizon=0.09)


def _run(link: RobotLink, seconds: float) -> tuple[int, dict[str, float]]:
    """What was sent before the count began, and the count."""
    with link.hold("benchmark", lambda: True) as lease:
        link.ask("task", key=lease.key, skill="wave", instruction="wave")
        time.sleep(1.0)
        link.ask("cadence", restart=True)
        before = int(link.ask("motion")["kernel"]["sent"])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))
            state = link.ask("motion")["motion"]["state"]
            assert state in ("moving", "waiting"), link.ask("motion")
        return before, link.ask("cadence")


def _jerk(actions: np.ndarray, hz: float) -> float:
    """Root mean square of the third difference, rad/s³."""
    return float(np.sqrt(np.mean((np.diff(actions, n=3, axis=0) * hz**3) ** 2))) if len(actions) > 3 else 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--hz", nargs="*", type=float, choices=MINUTES, default=list(MINUTES))
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(partial(main, rates=tuple(given.hz)), "control_cadence")
