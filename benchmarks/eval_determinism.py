"""The same policy from the same seeds: do its trials come out alike, however they are run?

A compact policy is trained for a moment on two Meta-World tasks and evaluated with one worker; then with two,
and with two while the evaluation is killed (SIGKILL, the main process alone) at random moments and taken up
again. Every record (success, steps, instruction, seed) is compared. Where LIBERO's assets are at hand, its
scripted expert is run with noise-free physics the same way. Peer: the run with one worker.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from _frame import Check, run
from vla_data.errors import MissingDependencyError
from vla_data.files import read_json
from vla_data.sim.libero_names import assets_folder

VLA = str(Path(sys.executable).with_name("vla"))
TASKS = "reach,button-press-topdown"
LIBERO = "libero_object/pick_up_the_milk_and_place_it_in_the_basket"
KILLS, TRIALS, EPISODES, STEPS = 12, 20, 10, 600
TRAINING = ("--head", "continuous", "--set", "fit.threads=1", "--set", "fit.warmup_steps=10")


def main(smoke: bool) -> list[Check]:
    """Train, then evaluate three times each."""
    kills, trials = (2, 2) if smoke else (KILLS, TRIALS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        episodes, steps = ("2", "5") if smoke else (str(EPISODES), str(STEPS))
        made = ("data", "generate", "metaworld", "--tasks", TASKS, "--episodes", episodes)
        _do(*made, "--out", root / "demos")
        data = ("--data", root / "demos" / "metaworld" / "1.0.0", "--set", f"fit.steps={steps}")
        _do("model", "finetune", *data, *TRAINING, "--out", root / "policy")
        policy = ("metaworld", "--checkpoint", root / "policy", "--tasks", TASKS)
        checks = _compared("trained policy, Meta-World", policy, trials, kills, root / "metaworld")
        if not smoke and _has_libero():
            expert = ("libero", "--policy", "expert", "--tasks", LIBERO)
            checks += _compared("scripted expert, LIBERO", expert, 6, 4, root / "libero")
    return checks


def _has_libero() -> bool:
    try:
        return assets_folder().is_dir()
    except MissingDependencyError:
        return False


def _compared(name: str, words: Sequence[object], trials: int, kills: int, root: Path) -> list[Check]:
    """One worker, two, and two with kills."""
    shared = ("eval", *words, "--episodes", trials, "--set", "videos=false")
    began = time.monotonic()
    _do(*shared, "--workers", 1, "--out", root / "one")
    seconds = time.monotonic() - began
    _do(*shared, "--workers", 2, "--out", root / "two")
    killed = _killed([*shared, "--workers", 2, "--out", root / "killed"], kills, seconds)
    one = _records(root / "one")
    wins = sum(r["success"] for r in one)
    checks = []
    for way, directory in (("with two workers", "two"), (f"killed {killed} times", "killed")):
        same = sum(a == b for a, b in zip(one, _records(root / directory), strict=True))
        peer = f"of {len(one)}, beside one worker's ({wins} successes)"
        checks.append(
            Check(f"{name}: trials alike, {way}", same, "", f"= {len(one)}", peer, same == len(one))
        )
    return checks


def _records(out: Path) -> list[dict]:
    return [record for path in sorted((out / "records").rglob("*.json")) for record in read_json(path)]


def _killed(words: Sequence[object], kills: int, seconds: float) -> int:
    """Begin, kill, begin again, and at last let it end; how often it was killed."""
    draws, killed = random.Random(0), 0
    for _ in range(kills):
        child = subprocess.Popen(
            [VLA, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            child.wait(draws.uniform(0.1, 0.5) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.wait()
    _do(*words)
    return killed


def _do(*words: object) -> None:
    subprocess.run([VLA, *map(str, words)], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    run(main, "eval_determinism")
