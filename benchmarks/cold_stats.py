"""Statistics of a data set nobody has read yet: speed, bytes read, and how far off quantiles are.

A data set of two 256² JPEG cameras is written, flushed, and dropped from the page cache; `mincore` says that
not a page of it is left. Then a process of its own, which has read a small data set before, takes the
statistics with the call that `vla data stats` makes, opening included, and `mincore` says which pages were
read. The peer is TFDS over the same numbers with both images under `SkipDecoding`, dropped and counted
likewise. The passes take turns; rates are medians of steps per second, of which those are taken off in which
other processes had the processor (`/proc/self/schedstat`): waiting for the disk counts, neighbours do not.

Quantiles are those of 2 million values in 20,000 episodes with 40 outliers: ours exact, ours merged from 20
data sets, beside two ways in use: a histogram of 5,000 bins between minimum and maximum, and the mean of each
episode's quantiles.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from _frame import Check, measure, run

SIZE, QUALITY, POOL = 256, 90, 48  # POOL different pictures are used over and over
EPISODES, STEPS, PASSES = 250, 50, 5
SMOKE_EPISODES, SMOKE_PASSES = 60, 3
RATE_GOAL, BYTES_GOAL, MERGED_GOAL = 50_000, 0.02, 0.005
VALUES, OUTLIERS, EPISODE, PARTS = 2_000_000, 40, 100, 20
LEVELS = (0.01, 0.99)
WARM_UP = "warm_up"  # a data set beside, read first: starting an interpreter is not what is measured


def main(smoke: bool) -> list[Check]:
    """Cold passes and quantile errors as checks."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "made_up"
        _write(directory, SMOKE_EPISODES if smoke else EPISODES)
        _write(directory.with_name(WARM_UP), 2)
        passes = [_round(directory) for _ in range(SMOKE_PASSES if smoke else PASSES)]
        size = sum(p.stat().st_size for p in _shards(directory))
    ours, theirs = ([p[i] for p in passes] for i in range(2))
    rate, peer_rate = (statistics.median(p["rate"] for p in found) for found in (ours, theirs))
    bare = statistics.median(p["bare"] for p in ours)
    speeds = f"TFDS {peer_rate:,.0f}; ours by the bare clock {bare:,.0f}"
    share, peer_share = (max(p["read"] for p in found) / size for found in (ours, theirs))
    told = f"of {size / 1e6:,.0f} MB; TFDS {100 * peer_share:.0f}%"
    same = all(p["count"] == q["count"] and p["sum"] == q["sum"] for p, q in passes)
    return [
        Check("cold pass", rate, "steps/s", f">= {RATE_GOAL:,}", speeds, rate >= RATE_GOAL),
        Check("bytes read", 100 * share, "%", f"<= {100 * BYTES_GOAL:g}", told, share <= BYTES_GOAL),
        Check("steps and sums as TFDS", float(same), "", "1", "TFDS", same),
        *_quantile_checks(),
    ]


def _round(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """One cold pass of ours, one of TFDS."""
    ours, theirs = (_cold(kind, directory) for kind in ("ours", "tfds"))
    return ours, theirs


def _cold(kind: str, directory: Path) -> dict[str, Any]:
    for path in _shards(directory):
        _drop(path)
    left = sum(map(_resident, _shards(directory)))
    if left:
        raise RuntimeError(f"{left} bytes stayed in the page cache: measure on a disk, not in memory")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    usage = measure([sys.executable, __file__, "--child", kind, str(directory)], quiet)
    return json.loads(usage.stdout.splitlines()[-1]) | {"read": sum(map(_resident, _shards(directory)))}


def _shards(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.tfrecord*"))


def _drop(path: Path) -> None:
    """Out of the page cache, once it is on the disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resident(path: Path) -> int:
    """Bytes of a file that are in the page cache."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-len(mapped) // mmap.PAGESIZE), np.uint8)
        address = ctypes.c_void_p(view.ctypes.data)
        failed = libc.mincore(address, ctypes.c_size_t(len(mapped)), ctypes.c_void_p(pages.ctypes.data))
        del view
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return int((pages & 1).sum()) * mmap.PAGESIZE


class Clock:
    """Seconds since it was made, without those in which this process was ready and another one ran."""

    def __init__(self) -> None:
        self.began, self.waited = time.perf_counter(), _waited()

    def rates(self, steps: int) -> dict[str, float]:
        """Steps per second so, and by the bare clock."""
        wall = time.perf_counter() - self.began
        return {"rate": steps / (wall - (_waited() - self.waited)), "bare": steps / wall, "count": steps}


def _waited() -> float:
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _ours(directory: Path) -> dict[str, float]:
    from vla_data.explore import stats

    clock = Clock()
    (found,) = stats([directory])
    rates = clock.rates(found.steps)
    assert found.action is not None
    total = sum(m * found.action.norm.count for m in found.action.norm.mean)
    return rates | {"sum": round(total, 2)}


def _tfds(directory: Path) -> dict[str, float]:
    import tensorflow_datasets as tfds

    skip = {c: tfds.decode.SkipDecoding() for c in ("front", "wrist")}
    builder: Any = tfds.builder_from_directory(str(directory))
    clock = Clock()
    data = builder.as_dataset(split="train", decoders={"steps": {"observation": skip}})
    actions, states = [], []
    for episode in data:
        for step in episode["steps"].batch(1000):
            actions.append(step["action"].numpy())
            states.append(step["observation"]["state"].numpy())
    action, state = (np.concatenate(v).astype(np.float64) for v in (actions, states))
    for values in (action, state):
        np.quantile(values, LEVELS, axis=0)
    return clock.rates(len(action)) | {"sum": round(float(action.sum()), 2)}


CHILDREN: dict[str, Callable[[Path], dict[str, float]]] = {"ours": _ours, "tfds": _tfds}


def _quantile_checks() -> list[Check]:
    from vla_data.explore.columns import Columns
    from vla_data.explore.quantiles import SeriesStats, merge_series

    def collect(values: np.ndarray, sketch: bool) -> SeriesStats:
        columns = Columns()
        columns.add(values[:, None])
        found = columns.stats(["value"], sketch)
        assert found is not None
        return found

    values = _values()
    truth = np.quantile(values.astype(np.float64), LEVELS)
    merged = merge_series([collect(part, True) for part in np.array_split(values, PARTS)], ["value"])
    exact = _error([collect(values, False).norm.q01[0], collect(values, False).norm.q99[0]], truth)
    ours = _error([merged.norm.q01[0], merged.norm.q99[0]], truth)
    episodes = values.reshape(-1, EPISODE).astype(np.float64)
    mean = _error(np.quantile(episodes, LEVELS, axis=1).mean(axis=1), truth)
    others = f"5,000-bin histogram {_histogram_error(values, truth):.3g}%, mean of episodes' {mean:.2g}%"
    return [
        Check("quantile error, exact", exact, "%", "0", others, exact == 0),
        Check(
            "quantile error, merged",
            ours,
            "%",
            f"<= {100 * MERGED_GOAL:g}",
            others,
            ours <= 100 * MERGED_GOAL,
        ),
    ]


def _values() -> np.ndarray:
    """Numbers as of a robot's joint, whose rest differs a little between data sets, and a few broken ones."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=VALUES) + np.repeat(rng.normal(0, 0.2, PARTS), VALUES // PARTS)
    broken = rng.choice(VALUES, OUTLIERS, replace=False)
    values[broken] = rng.choice([-1, 1], OUTLIERS) * rng.uniform(1e2, 1e4, OUTLIERS)
    return values.astype(np.float32)


def _histogram_error(values: np.ndarray, truth: np.ndarray) -> float:
    counts, edges = np.histogram(values, 5_000)
    below = np.cumsum(counts)
    return _error([edges[np.searchsorted(below, q * len(values))] for q in LEVELS], truth)


def _error(found: Any, truth: np.ndarray) -> float:
    """The larger relative error of both, in per cent."""
    return float(100 * np.max(np.abs(np.asarray(found) - truth) / np.abs(truth)))


def _write(directory: Path, episodes: int) -> None:
    from vla_data.formats.rlds import RldsWriter, finish_dataset
    from vla_data.images import EncodedImages
    from vla_data.types import ActionDim, ActionSpec, Camera, Episode, RobotSpec, StateDim

    dims = tuple(ActionDim(f"a{i}", "position", "delta", "base", "m") for i in range(7))
    robot = RobotSpec("arm", ActionSpec(dims, 10.0), tuple(StateDim(f"s{i}") for i in range(8)))
    cameras = {name: Camera(name, SIZE, SIZE) for name in ("front", "wrist")}
    rng = np.random.default_rng(0)
    pool = [_picture(rng) for _ in range(POOL)]
    with RldsWriter(directory, "made_up", robot, cameras, image_encoding="jpeg") as writer:
        for i in range(episodes):
            chosen = {name: [pool[k] for k in rng.integers(0, POOL, STEPS)] for name in cameras}
            writer.write(
                Episode(
                    id=str(i),
                    robot=robot,
                    action=rng.normal(size=(STEPS, 7)).astype(np.float32),
                    state=rng.normal(size=(STEPS, 8)).astype(np.float32),
                    time=np.arange(STEPS) / 10.0,
                    images={name: EncodedImages(frames) for name, frames in chosen.items()},
                    instruction="put the red block on the plate",
                )
            )
    finish_dataset(directory)


def _picture(rng: np.random.Generator) -> bytes:
    """Edges, gradients and some noise: its JPEG is of the size real ones have."""
    from vla_data.images import encode

    rows, columns = np.mgrid[:SIZE, :SIZE]
    picture = np.stack([rows // 2 + 60, columns // 2 + 40, (rows + columns) // 4 + 50], axis=-1)
    picture = picture + rng.normal(0, 4, picture.shape)
    for _ in range(12):
        top, left, high, wide = rng.integers(0, [SIZE, SIZE, 80, 80])
        picture[top : top + high, left : left + wide] = rng.integers(0, 256, 3)
    return encode(picture.clip(0, 255).astype(np.uint8), "jpeg", quality=QUALITY)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        read, cold = CHILDREN[sys.argv[2]], Path(sys.argv[3])
        read(cold.with_name(WARM_UP))
        print(json.dumps(read(cold)))
    else:
        run(main, "cold_stats")
