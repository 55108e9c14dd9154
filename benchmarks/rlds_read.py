"""Reading episodes with two cameras of 256² JPEG: ours beside TFDS, on the same data set made for it.

Each reader runs in a process of its own: a first pass hashes every pixel and number (and warms up), then
timed passes look at every image, action and state. A rate is steps per CPU-second, the median of the
passes, so it does not depend on how many cores TensorFlow's threads find. Memory is the process's peak.
TFDS is read in both ways its users know: episodes of steps, and the steps flattened into one stream.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from _frame import Check, measure, run

SIZE = 256
QUALITY = 90
RATIO, RSS_LIMIT, SERIES_RATE = 1.75, 200e6, 20_000
EPISODES, STEPS, PASSES = 16, 60, 3
SMOKE_EPISODES, SMOKE_STEPS, SMOKE_PASSES = 4, 30, 1
ARRAYS = ("front", "wrist", "state", "action")


def main(smoke: bool) -> list[Check]:
    """Make a data set, read it in turn with each reader, compare."""
    episodes, steps, passes = (
        (SMOKE_EPISODES, SMOKE_STEPS, SMOKE_PASSES) if smoke else (EPISODES, STEPS, PASSES)
    )
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root) / "made_up" / "1.0.0"
        _write(directory, episodes, steps)
        ours, nested, flat = (_child(kind, directory, passes) for kind in ("ours", "nested", "flat"))
        series = _child("series", directory, 10 * passes)
    best = max(nested["rate"], flat["rate"])
    same = len({ours["digest"], nested["digest"], flat["digest"]}) == 1
    tfds = f"TFDS nested {nested['rate']:,.0f}, flat {flat['rate']:,.0f} steps/CPU-s"
    memory = f"TFDS nested {nested['rss'] / 1e6:,.0f}, flat {flat['rss'] / 1e6:,.0f} MB"
    rate, rss, sparse = ours["rate"], ours["rss"], series["rate"]
    return [
        Check("decoded", rate, "steps/CPU-s", "", tfds, True),
        Check("over the faster TFDS", rate / best, "×", f">= {RATIO}", tfds, rate >= RATIO * best),
        Check("peak memory", rss / 1e6, "MB", f"<= {RSS_LIMIT / 1e6:.0f}", memory, rss <= RSS_LIMIT),
        Check("pixels and numbers as TFDS", float(same), "", "1 (bit for bit)", "TFDS", same),
        Check("series only", sparse, "steps/CPU-s", f">= {SERIES_RATE:,}", "", sparse >= SERIES_RATE),
    ]


def _child(kind: str, directory: Path, passes: int) -> dict[str, Any]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    usage = measure([sys.executable, __file__, "--child", kind, str(directory), str(passes)], quiet)
    return json.loads(usage.stdout.splitlines()[-1]) | {"rss": usage.peak_rss}


def _child_main(kind: str, directory: Path, passes: int) -> None:
    read = READERS[kind](directory)
    digest = hashlib.sha256()
    for step in read():
        for array in step:
            digest.update(array.tobytes())
    rates = []
    for _ in range(passes):
        began = time.process_time()  # of every thread of this process
        count = sum(1 for _ in read())
        rates.append(count / (time.process_time() - began))
    print(json.dumps({"rate": statistics.median(rates), "digest": digest.hexdigest()}))


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


def _write(directory: Path, episodes: int, steps: int) -> None:
    """Pictures with edges, gradients and some noise: their JPEGs are of the size real ones have."""
    from vla_data.formats.rlds import RldsWriter, finish_dataset
    from vla_data.types import ActionDim, ActionSpec, Camera, Episode, RobotSpec, StateDim

    dims = tuple(ActionDim(f"a{i}", "position", "delta", "base", "m") for i in range(7))
    robot = RobotSpec("arm", ActionSpec(dims, 10.0), tuple(StateDim(f"s{i}") for i in range(8)))
    cameras = {name: Camera(name, SIZE, SIZE) for name in ARRAYS[:2]}
    rng = np.random.default_rng(0)
    for shard in range(2):
        with RldsWriter(
            directory, "made_up", robot, cameras, shard=(shard, 2), image_encoding="jpeg"
        ) as writer:
            for i in range(shard, episodes, 2):
                writer.write(
                    Episode(
                        id=str(i),
                        robot=robot,
                        action=rng.normal(size=(steps, 7)).astype(np.float32),
                        state=rng.normal(size=(steps, 8)).astype(np.float32),
                        time=np.arange(steps) / 10.0,
                        images={name: _frames(rng, steps) for name in cameras},
                        instruction="put the red block on the plate",
                    )
                )
    finish_dataset(directory)


def _frames(rng: np.random.Generator, steps: int) -> Any:
    from vla_data.images import EncodedImages, encode

    rows, columns = np.mgrid[:SIZE, :SIZE]
    base = np.stack([rows // 2 + 60, columns // 2 + 40, (rows + columns) // 4 + 50], axis=-1)
    frames = []
    for _ in range(steps):
        picture = base + rng.normal(0, 4, base.shape)
        for _ in range(12):
            top, left, high, wide = rng.integers(0, [SIZE, SIZE, 80, 80])
            picture[top : top + high, left : left + wide] = rng.integers(0, 256, 3)
        frames.append(encode(picture.clip(0, 255).astype(np.uint8), "jpeg", quality=QUALITY))
    return EncodedImages(frames)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child_main(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        run(main, "rlds_read")
