"""Downloads that are killed at random moments and then resumed; run as a script it is the one that is killed.

Shared by `test_download_resume.py` and `benchmarks/download_faults.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.data.download_faults import NAME, VERSION
from tests.data.storage_server import Storage

from vla_data.openx.download import download
from vla_data.openx.faults import Patience
from vla_data.openx.tasks import DownloadConfig

RATE = 200_000.0  # bytes a second and connection, so that there is time to be killed in
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kill:
    """How a download that was killed `after` so many seconds was left, and what its resumption made of it.

    Args:
        parts: files that were begun and not done when it was killed.
        whole: files that were done.
        readable: what was left called itself a data set.
        identical: after resuming, every file is byte for byte the published one.
        saved: bytes that resuming did not have to fetch again, of all.
    """

    after: float
    parts: int
    whole: int
    readable: bool
    identical: bool
    saved: float


def config(directory: Path) -> DownloadConfig:
    return DownloadConfig("gs://bucket/robotics", directory, copy=True, jobs=2, patience=Patience(4, 0.01))


def kills(storage: Storage, root: Path, count: int, seed: int = 0) -> Iterator[Kill]:
    """Kill `count` downloads at moments spread evenly at random over what an undisturbed one takes."""
    whole = _run(storage, root / "undisturbed", None)
    rng = np.random.default_rng(seed)
    for i in range(count):
        directory = root / str(i)
        after = float(rng.uniform(0, whole))
        _run(storage, directory, after)
        yield _resume(storage, directory, after)


def _run(storage: Storage, directory: Path, after: float | None) -> float:
    """Seconds it took in a process of its own, killed `after` some."""
    storage.rate = RATE
    environment = {**os.environ, "STORAGE_EMULATOR_HOST": storage.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, str(directory)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        began = time.monotonic()
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.wait()
    storage.rate = None
    return time.monotonic() - began


def _resume(storage: Storage, directory: Path, after: float) -> Kill:
    home = directory / NAME / VERSION
    left = [p.name for p in home.iterdir()] if home.is_dir() else []
    begun = [n for n in left if n.endswith(".part") and "download.json" not in n]
    done = [n for n in left if not n.startswith(".") and n != "download.json"]
    before, total = storage.sent, sum(len(s.data) for s in storage.objects.values())
    (outcome,) = download([f"{NAME}/{VERSION}"], config(directory))
    here = {p.name: p.read_bytes() for p in home.iterdir() if not p.name.startswith(".")}
    here.pop("download.json")
    expected = {name.rpartition("/")[2]: s.data for name, s in storage.objects.items()}
    return Kill(
        after=after,
        parts=len(begun),
        whole=len(done),
        readable="features.json" in left,
        identical=outcome.state == "verified" and here == expected,
        saved=1 - (storage.sent - before) / total,
    )


if __name__ == "__main__":
    print("ready", flush=True)
    (ended,) = download([f"{NAME}/{VERSION}"], config(Path(sys.argv[1])))
    sys.exit(ended.state != "verified")
