"""Reading episodes with two cameras of 256²: ours beside TFDS, on the same data sets made for it.

Images are JPEG as public data sets hold them (4:2:0, as TensorFlow's encoder writes) and PNG. Each reader
runs in a process of its own: a first pass hashes every pixel and number (and warms up); then the readers
take turns, one pass each a round, so that a busy moment of the machine meets all of them. A rate is steps
per CPU-second of every thread of the process; a ratio is the median over the rounds of ours over theirs.
TFDS is read in both ways its users know: episodes of steps, and the steps flattened into one stream.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _frame import Check, run

SIZE = 256
QUALITY = 90
JPEG_RATIO, PNG_RATIO, RSS_LIMIT, SERIES_RATE = 1.75, 1.3, 200e6, 20_000
EPISODES, STEPS, ROUNDS = 16, 60, 7
SMOKE_EPISODES, SMOKE_STEPS, SMOKE_ROUNDS = 4, 30, 2
ARRAYS = ("front", "wrist", "state", "action")


@dataclass(frozen=True)
class Compared:
    """What the readers came to on one data set: reader → rate in each round, digest, peak bytes."""

    rates: dict[str, list[float]]
    digests: dict[str, str]
    rss: dict[str, int]

    def rate(self, reader: str) -> float:
        return statistics.median(self.rates[reader])

    def ratio(self) -> float:
        """Ours over the faster way of TFDS."""
        return min(
            statistics.median(a / b for a, b in zip(self.rates["ours"], self.rates[peer], strict=True))
            for peer in ("nested", "flat")
        )

    def peer(self) -> str:
        return f"TFDS nested {self.rate('nested'):,.0f}, flat {self.rate('flat'):,.0f} steps/CPU-s"


def main(smoke: bool) -> list[Check]:
    """Make the data sets, read them in turn with each reader, compare."""
    episodes, steps, rounds = (
        (SMOKE_EPISODES, SMOKE_STEPS, SMOKE_ROUNDS) if smoke else (EPISODES, STEPS, ROUNDS)
    )
    with tempfile.TemporaryDirectory() as root:
        directories = {e: Path(root) / f"made_up_{e}" / "1.0.0" for e in ("jpeg", "png")}
        for encoding, directory in directories.items():
            _write(directory, encoding, episodes if encoding == "jpeg" else max(2, episodes // 4), steps)
        jpeg, png = (_compare(d, ("ours", "nested", "flat"), rounds) for d in directories.values())
        series = _compare(directories["jpeg"], ("series",), rounds).rate("series")
    return [
        *_checks("JPEG", jpeg, JPEG_RATIO),
        *_checks("PNG", png, PNG_RATIO),
        Check("series only", series, "steps/CPU-s", f">= {SERIES_RATE:,}", "", series >= SERIES_RATE),
    ]


def _checks(name: str, found: Compared, goal: float) -> list[Check]:
    ratio, same = found.ratio(), len(set(found.digests.values())) == 1
    rss = found.rss["ours"] / 1e6
    memory = ", ".join(f"{k} {found.rss[k] / 1e6:,.0f}" for k in ("nested", "flat"))
    return [
        Check(f"{name}, decoded", found.rate("ours"), "steps/CPU-s", "", found.peer(), True),
        Check(f"{name}, over the faster TFDS", ratio, "×", f">= {goal}", found.peer(), ratio >= goal),
        Check(f"{name}, peak memory", rss, "MB", "<= 200", f"TFDS {memory} MB", rss <= RSS_LIMIT / 1e6),
        Check(f"{name}, pixels and numbers as TFDS", float(same), "", "1 (bit for bit)", "TFDS", same),
    ]


def _compare(directory: Path, readers: tuple[str, ...], rounds: int) -> Compared:
    """Rounds in which each reader makes one pass, all of them alive from first to last."""
    children = {kind: _Child(kind, directory) for kind in readers}
    try:
        first = {kind: child.ask() for kind, child in children.items()}
        rates: dict[str, list[float]] = {kind: [] for kind in readers}
        for _ in range(rounds):
            for kind, child in children.items():
                rates[kind].append(child.ask()["rate"])
        rss = {kind: child.ask()["rss"] for kind, child in children.items()}
    finally:
        for child in children.values():
            child.process.kill()
    return Compared(rates, {kind: answer["digest"] for kind, answer in first.items()}, rss)


class _Child:
    """A reader in a process of its own that makes a pass whenever it is asked."""

    def __init__(self, kind: str, directory: Path) -> None:
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, __file__, "--child", kind, str(directory)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **quiet},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"a reader ended early: {' '.join(map(str, self.process.args))}")  # type: ignore[arg-type]


def _child_main(kind: str, directory: Path) -> None:
    read = READERS[kind](directory)
    digest = ""
    for _ in sys.stdin:
        if not digest:
            digest = _digest(read())
        began = time.process_time()  # of every thread of this process
        count = sum(1 for _ in read())
        rate = count / (time.process_time() - began)
        print(json.dumps({"rate": rate, "digest": digest, "rss": _peak_rss()}), flush=True)


def _peak_rss() -> int:
    """Peak resident bytes of this process alone; `getrusage` may give its parent's, from before exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this benchmark needs Linux: /proc/self/status")


def _digest(steps: Iterator[tuple[np.ndarray, ...]]) -> str:
    digest = hashlib.sha256()
    for step in steps:
        for array in step:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


Steps = Callable[[], Iterator[tuple[np.ndarray, ...]]]


def _ours(directory: Path) -> Steps:
    from vla_data import open_episodes

    reader = open_episodes(directory)

    def read() -> Iterator[tuple[np.ndarray, ...]]:
        for i in range(len(reader)):
            episode = reader[i]
            for t in range(len(episode)):
                images = [episode.images[c][t] for c in ARRAYS[:2]]
                yield *images, episode.state[t], episode.action[t]

    return read


def _series(directory: Path) -> Steps:
    from vla_data import open_episodes

    reader = open_episodes(directory)

    def read() -> Iterator[tuple[np.ndarray, ...]]:
        for i in range(len(reader)):
            episode = reader.read_series(i)
            yield from ((episode.state, episode.action) for _ in range(len(episode)))

    return read


def _tfds(directory: Path, flat: bool) -> Steps:
    import tensorflow_datasets as tfds

    config = tfds.ReadConfig(interleave_cycle_length=1)
    builder: Any = tfds.builder_from_directory(str(directory))
    data = builder.as_dataset(split="train", read_config=config)
    if flat:
        data = data.flat_map(lambda episode: episode["steps"])

    def read() -> Iterator[tuple[np.ndarray, ...]]:
        for item in tfds.as_numpy(data):
            for step in [item] if flat else item["steps"]:
                seen = step["observation"]
                yield *(seen[name] for name in ARRAYS[:3]), step["action"]

    return read


READERS: dict[str, Callable[[Path], Steps]] = {
    "ours": _ours,
    "series": _series,
    "nested": lambda directory: _tfds(directory, flat=False),
    "flat": lambda directory: _tfds(directory, flat=True),
}


def _write(directory: Path, encoding: Any, episodes: int, steps: int) -> None:
    """Pictures with edges, gradients and some noise: their JPEGs are of the size real ones have."""
    from vla_data.formats.rlds import RldsWriter, finish_dataset
    from vla_data.types import ActionDim, ActionSpec, Camera, Episode, RobotSpec, StateDim

    dims = tuple(ActionDim(f"a{i}", "position", "delta", "base", "m") for i in range(7))
    robot = RobotSpec("arm", ActionSpec(dims, 10.0), tuple(StateDim(f"s{i}") for i in range(8)))
    cameras = {name: Camera(name, SIZE, SIZE) for name in ARRAYS[:2]}
    rng = np.random.default_rng(0)
    for shard in range(2):
        with RldsWriter(
            directory, "made_up", robot, cameras, shard=(shard, 2), image_encoding=encoding
        ) as writer:
            for i in range(shard, episodes, 2):
                writer.write(
                    Episode(
                        id=str(i),
                        robot=robot,
                        action=rng.normal(size=(steps, 7)).astype(np.float32),
                        state=rng.normal(size=(steps, 8)).astype(np.float32),
                        time=np.arange(steps) / 10.0,
                        images={name: _frames(rng, steps, encoding) for name in cameras},
                        instruction="put the red block on the plate",
                    )
                )
    finish_dataset(directory)


def _frames(rng: np.random.Generator, steps: int, encoding: str) -> Any:
    from vla_data.images import EncodedImages

    rows, columns = np.mgrid[:SIZE, :SIZE]
    base = np.stack([rows // 2 + 60, columns // 2 + 40, (rows + columns) // 4 + 50], axis=-1)
    frames = []
    for _ in range(steps):
        picture = base + rng.normal(0, 4, base.shape)
        for _ in range(12):
            top, left, high, wide = rng.integers(0, [SIZE, SIZE, 80, 80])
            picture[top : top + high, left : left + wide] = rng.integers(0, 256, 3)
        frames.append(_encoded(picture.clip(0, 255).astype(np.uint8), encoding))
    return EncodedImages(frames)


def _encoded(picture: np.ndarray, encoding: str) -> bytes:
    """As the encoders behind public data sets do: JPEG with half the chroma in each direction."""
    from PIL import Image

    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": QUALITY, "subsampling": "4:2:0"} if encoding == "jpeg" else {}
    Image.fromarray(picture).save(buffer, format=encoding, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child_main(sys.argv[2], Path(sys.argv[3]))
    else:
        run(main, "rlds_read")
