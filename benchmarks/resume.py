"""Training killed at random moments, half of them inside a save, and taken up again: is the curve the same?

`finetune` trains the VLA policy (autoregressive codes) on made-up episodes, saving every other step. An
attempt is a fork that is killed (SIGKILL) after a random time, or just when a file is being written; the next
attempt goes on, until the run is whole; then another run begins, until so many kills are done. Peer: one run
that nobody killed. Losses and weights are compared bit by bit.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch  # noqa: F401  (imported once, not in every attempt)
import numpy as np

from _frame import Check, run
from vla_data.files import PART_SUFFIX
from vla_data.fit import FitConfig
from vla_data.types import ActionDim, ActionSpec, ArrayImages, Episode, RobotSpec, StateDim
from vla_model.finetuning import FinetuneConfig, finetune
from vla_model.policies.vla import VlaConfig
from vla_ts.bins import UniformBinsCodec

KILLS, STEPS, HORIZON = 50, 60, 4
DIMS = tuple(ActionDim(n, "position", "delta", "world", "m", 0.01) for n in ("x", "y"))
ROBOT = RobotSpec("made-up", ActionSpec(DIMS, 20.0), (StateDim("x", "m"), StateDim("y", "m")))
CONFIG = FinetuneConfig(
    policy=VlaConfig(depth=2, width=32, heads=2, video_tokens=4, channels=16),
    fit=FitConfig(
        steps=STEPS, batch_size=8, threads=1, checkpoint_every=2, log_every=1, ema_decay=0.9, device="cpu"
    ),
)


@dataclass(frozen=True)
class MadeUp:
    """Episodes of random pictures and actions."""

    name: str = "made-up"
    robot: RobotSpec = ROBOT

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Episode:
        rng = np.random.default_rng(index)
        return Episode(
            id=str(index),
            robot=self.robot,
            action=rng.uniform(-1, 1, (12, 2)).astype(np.float32),
            state=rng.normal(size=(12, 2)).astype(np.float32),
            time=np.arange(12) / 20,
            images={"front": ArrayImages(rng.integers(0, 256, (12, 32, 32, 3), np.uint8))},
            instruction=("go left", "go right")[index % 2],
        )


def main(smoke: bool) -> list[Check]:
    """Kills, resumes, and how the curves compare."""
    kills = 4 if smoke else KILLS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        codec = root / "codec"
        UniformBinsCodec(ROBOT.action, HORIZON, bins=16).save(codec)
        began = time.monotonic()
        _wait(_start(root / "whole", codec))
        seconds = time.monotonic() - began
        tally = _campaign(root, codec, kills, seconds)
    done, same, inside = tally["done"], tally["same"], tally["inside"]
    runs = tally["runs"]
    return [
        Check("attempts that went on after a kill", done, "", f"= {kills}", f"of {kills}", done == kills),
        Check("runs whose losses and weights are bit-equal", same, "", f"= {runs}", f"of {runs}, beside one "
              "that nobody killed", same == runs),
        Check("kills inside a save", inside, "", "> 0", f"of {kills}", inside > 0),
    ]  # fmt: skip


def _campaign(root: Path, codec: Path, kills: int, seconds: float) -> dict[str, int]:
    draws = random.Random(0)
    tally = {"done": 0, "same": 0, "inside": 0, "runs": 0}
    killed = 0
    while killed < kills:
        out = root / f"run{tally['runs']}"
        tally["runs"] += 1
        while killed < kills:
            child = _start(out, codec)
            in_save = killed % 2 == 1
            if not (_kill_in_save if in_save else _kill_later)(child, out, draws, seconds):
                break  # it was done before its time came
            killed += 1
            tally["inside"] += any(p.name.endswith(PART_SUFFIX) for p in out.rglob("*"))
            tally["done"] += _goes_on(out, codec)
        if not _whole(out):
            _wait(_start(out, codec))
        tally["same"] += _same(out, root / "whole")
    return tally


def _goes_on(out: Path, codec: Path) -> bool:
    """Whether another attempt gets further than the last one did, or to the end."""
    state = out / ".resume" / "last.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    child = _start(out, codec)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if state.exists() and state.stat().st_mtime_ns > before:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.002)
    return _whole(out)


def _start(out: Path, codec: Path) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        out.mkdir(exist_ok=True)
        finetune(MadeUp(), CONFIG, codec, out)
        status = 0
    finally:
        os._exit(status)


def _wait(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"an attempt that nobody killed ended with {status}")


def _kill_later(child: int, out: Path, draws: random.Random, seconds: float) -> bool:
    return _kill_at(child, time.monotonic() + draws.uniform(0, seconds), lambda: False)


def _kill_in_save(child: int, out: Path, draws: random.Random, seconds: float) -> bool:
    """At the first file that is being written after a random time."""
    after = time.monotonic() + draws.uniform(0, seconds / 2)

    def writing() -> bool:
        return time.monotonic() > after and any(p.name.endswith(PART_SUFFIX) for p in _files(out))

    return _kill_at(child, time.monotonic() + 10 * seconds, writing)


def _files(out: Path) -> list[Path]:
    folder = out / ".resume"
    return [*out.iterdir(), *(folder.iterdir() if folder.is_dir() else [])] if out.is_dir() else []


def _kill_at(child: int, when: float, now) -> bool:
    """False where the child ended first."""
    while time.monotonic() < when and not now():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return False
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _whole(out: Path) -> bool:
    return (out / "checkpoint" / "manifest.json").is_file()


def _same(out: Path, whole: Path) -> bool:
    files = ("metrics.csv", "checkpoint/model.safetensors")
    return _whole(out) and all((out / f).read_bytes() == (whole / f).read_bytes() for f in files)


if __name__ == "__main__":
    run(main, "resume")
