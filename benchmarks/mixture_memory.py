"""Memory of a mixture with 8 workers over 200,000 samples, and that it goes on exactly where it was killed.

Four data sets of small JPEG episodes, several times larger than what the workers may hold, are drawn in
given shares and decoded into batches. Memory is the proportional set size (PSS, shared pages counted
once) of the process and its workers, four times a second. Growth is a robust line (Theil and Sen) through
what was measured after the first fifth of the samples, from its begin to its end, as a part of its begin.

Beside it, the same data sets through tf.data as loaders of RLDS mixtures have it: trajectories undecoded,
flattened, drawn by `sample_from_datasets`, a shuffle buffer of frames, decoded, batched.

Killing: a child that notes a digest of each batch and its state is killed (SIGKILL) in the middle, and
another goes on from the last state with another number of workers; every digest is compared with those of
a run that was left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from _frame import Check, run

SIZE, STEPS, WORKERS, BATCH = 32, (20, 60), 8, 32
WEIGHTS = (0.4, 0.3, 0.2, 0.1)
SAMPLES, EPISODES, PEER_SAMPLES, BUFFER, KILL_BATCHES = 200_000, 600, 60_000, 40_000, 240
SMOKE = (8_000, 60, 4_000, 2_000, 40)
GROWTH_LIMIT, WARM_UP = 0.05, 0.2
CACHE_BYTES = 8 * 1024 * 1024  # of each worker
ROLES = ("primary", "wrist")


def main(smoke: bool) -> list[Check]:
    """Make the data sets, go through them, compare."""
    samples, episodes, peer_samples, buffer, batches = (
        SMOKE if smoke else (SAMPLES, EPISODES, PEER_SAMPLES, BUFFER, KILL_BATCHES)
    )
    with tempfile.TemporaryDirectory() as root:
        os.environ["VLA_CACHE"] = f"{root}/cache"
        total = sum(_write(Path(root), i, episodes) for i in range(len(WEIGHTS)))
        ours = _watched("ours", root, samples)
        peer = _watched("peer", root, peer_samples, buffer)
        same = _killed(Path(root), batches)
    growth, other = _growth(ours, samples), _growth(peer, peer_samples)
    memory, theirs = (max(p for _, p in w["pss"]) / 1e6 for w in (ours, peer))
    said = f"tf.data, {buffer:,} frames buffered: {100 * other:+.1f}% over {peer_samples:,}"
    data = f"data {total / 1e6:,.0f} MB; tf.data {theirs:,.0f} MB"
    rates = f"tf.data {peer_samples / peer['seconds']:,.0f}"
    enough = len(_warm(ours, samples)) >= 4 or smoke
    return [
        Check(
            f"growth over {samples:,} samples, {WORKERS} workers",
            100 * growth,
            "%",
            f"<= {100 * GROWTH_LIMIT:.0f}",
            said,
            smoke or (enough and growth <= GROWTH_LIMIT),
        ),
        Check("peak memory of all processes", memory, "MB", "", data, True),
        Check("samples", samples / ours["seconds"], "/s", "", rates, True),
        Check("batches equal after kill and resume", same, "", "1 (all)", "a run left alone", same == 1.0),
    ]


def _warm(watched: dict[str, Any], samples: int) -> list[tuple[int, int]]:
    return [(n, pss) for n, pss in watched["pss"] if WARM_UP * samples <= n <= samples]


def _growth(watched: dict[str, Any], samples: int) -> float:
    """Part by which memory grew after the warm-up, by the median of all slopes."""
    points = _warm(watched, samples)
    if len(points) < 2:
        return 0.0
    points = points[:: max(1, len(points) // 300)]
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :] if b[0] > a[0]
    ]
    slope = statistics.median(slopes) if slopes else 0.0
    level = statistics.median(pss - slope * n for n, pss in points)
    first, last = points[0][0], points[-1][0]
    return slope * (last - first) / (level + slope * first)


def _watched(kind: str, root: str, *numbers: int) -> dict[str, Any]:
    """A child's seconds, and (samples so far, PSS of its tree) while it ran."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child", kind, root, *map(str, numbers)]
    child = subprocess.Popen(command, env={**os.environ, **quiet}, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    points, begun, seconds = [], 0.0, 0.0
    for line in child.stdout:  # one line now and then: samples so far
        if line.startswith("at "):
            begun = begun or time.perf_counter()
            points.append((int(line.split()[1]), _tree_pss(child.pid)))
            seconds = time.perf_counter() - begun
    if child.wait() != 0:
        raise RuntimeError(f"exit code {child.returncode}: {' '.join(command)}")
    return {"pss": points, "seconds": seconds}


def _tree_pss(pid: int) -> int:
    """PSS in bytes of a process and those below it."""
    total = 0
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, StopIteration):
        return total
    return total + sum(_tree_pss(int(child)) for child in children)


def _tell(items: Iterator[Any], total: int) -> None:
    """Go through batches; say four times a second how many samples there were."""
    done, told = 0, 0.0
    for _ in items:
        done += BATCH
        now = time.perf_counter()
        if now - told > 0.25 or done >= total:
            print("at", done, flush=True)
            told = now
        if done >= total:
            return


def _mixture(root: Path) -> Any:
    from vla_data.mixture import DatasetShare, Mixture, MixtureConfig, WindowConfig

    shares = tuple(DatasetShare(str(root / f"set{i}" / "1.0.0"), w) for i, w in enumerate(WEIGHTS))
    window = WindowConfig(history=1, action_horizon=8, cameras=ROLES)
    return Mixture.open(MixtureConfig(shares, window, pool=4, cache_bytes=CACHE_BYTES))


def _ours(root: str, samples: str) -> None:
    from vla_data.mixture import MixtureBatches, iterate

    batches = MixtureBatches(_mixture(Path(root)), BATCH)
    count = -(-int(samples) // BATCH)
    _tell(iterate(batches, range(count), workers=WORKERS), int(samples))


def _peer(root: str, samples: str, buffer: str) -> None:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def steps(i: int) -> Any:
        builder: Any = tfds.builder_from_directory(str(Path(root) / f"set{i}" / "1.0.0"))
        whole = builder.as_dataset(
            split="train", shuffle_files=True, decoders={"steps": tfds.decode.SkipDecoding()}
        )
        return whole.repeat().flat_map(lambda e: tf.data.Dataset.from_tensor_slices(e["steps"]))

    def decoded(step: Any) -> Any:
        seen = {r: tf.io.decode_jpeg(step["observation"][r]) for r in ROLES}
        return {**seen, "state": step["observation"]["state"], "action": step["action"]}

    mixed = tf.data.Dataset.sample_from_datasets(
        [steps(i) for i in range(len(WEIGHTS))], list(WEIGHTS), seed=0
    )
    data = mixed.shuffle(int(buffer)).map(decoded, num_parallel_calls=2).batch(BATCH)
    _tell(iter(tfds.as_numpy(data)), int(samples))


def _noted(root: str, note: str, batches: str, workers: str) -> None:
    """Go through batches from the last state; note each one's digest, then the state after it."""
    from vla_data.files import read_json, write_json
    from vla_data.mixture import MixtureBatches, MixtureStream

    path = Path(note)
    stream = MixtureStream(
        MixtureBatches(_mixture(Path(root)), BATCH), workers=int(workers), stop=int(batches)
    )
    digests: list[str] = []
    if path.exists():
        known = read_json(path)
        digests = known["digests"]
        stream.load_state_dict(known["state"])
    for batch in stream:
        found = hashlib.sha256()
        for key in sorted(batch):
            value = batch[key]
            found.update(value.tobytes() if isinstance(value, np.ndarray) else json.dumps(value).encode())
        digests.append(found.hexdigest())
        write_json(path, {"digests": digests, "state": stream.state_dict()})


def _killed(root: Path, batches: int) -> float:
    """Part of the batches that are equal in a run left alone and one that was killed and went on."""
    alone, torn = root / "alone.json", root / "torn.json"

    def start(note: Path, workers: int) -> subprocess.Popen[bytes]:
        arguments = ["--child", "noted", str(root), str(note), str(batches), str(workers)]
        return subprocess.Popen(
            [sys.executable, __file__, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"}
        )

    if start(alone, 2).wait() != 0:
        raise RuntimeError("the run that was left alone failed")
    child = start(torn, 2)
    while child.poll() is None and not (
        torn.exists() and len(json.loads(torn.read_bytes())["digests"]) > batches // 3
    ):
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    at = len(json.loads(torn.read_bytes())["digests"])
    if at >= batches or start(torn, 3).wait() != 0:
        raise RuntimeError(
            f"the run was not killed in the middle (batch {at} of {batches}), or did not go on"
        )
    one, other = (json.loads(p.read_bytes())["digests"] for p in (alone, torn))
    return sum(a == b for a, b in zip(one, other, strict=True)) / batches


CHILDREN: dict[str, Callable[..., None]] = {"ours": _ours, "peer": _peer, "noted": _noted}


def _write(root: Path, number: int, episodes: int) -> int:
    """A data set of pictures of moving blocks; its bytes."""
    from vla_data.formats.rlds import RldsWriter, finish_dataset
    from vla_data.images import EncodedImages, encode
    from vla_data.types import ActionDim, ActionSpec, Camera, Episode, RobotSpec, StateDim

    dims = tuple(ActionDim(f"a{i}", "position", "delta", "base", "m") for i in range(7))
    robot = RobotSpec("arm", ActionSpec(dims, 10.0), tuple(StateDim(f"s{i}") for i in range(8)))
    rng = np.random.default_rng(number)
    pictures = [encode(_picture(rng), "jpeg") for _ in range(200)]
    directory = root / f"set{number}" / "1.0.0"
    cameras = {name: Camera(name, SIZE, SIZE) for name in ROLES}
    for shard in range(4):
        with RldsWriter(
            directory, f"set{number}", robot, cameras, shard=(shard, 4), image_encoding="jpeg"
        ) as writer:
            for i in range(shard, episodes, 4):
                steps = int(rng.integers(*STEPS))
                writer.write(
                    Episode(
                        id=str(i),
                        robot=robot,
                        action=rng.normal(size=(steps, 7)).astype(np.float32),
                        state=rng.normal(size=(steps, 8)).astype(np.float32),
                        time=np.arange(steps) / 10.0,
                        images={
                            name: EncodedImages([pictures[k] for k in rng.integers(0, 200, steps)])
                            for name in cameras
                        },
                        instruction=f"do number {i}",
                    )
                )
    finish_dataset(directory)
    return sum(p.stat().st_size for p in directory.iterdir())


def _picture(rng: np.random.Generator) -> np.ndarray:
    picture = rng.normal(110, 8, (SIZE, SIZE, 3))
    for _ in range(6):
        top, left = rng.integers(0, SIZE - 8, 2)
        picture[top : top + 8, left : left + 8] = rng.integers(0, 256, 3)
    return picture.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        CHILDREN[sys.argv[2]](*sys.argv[3:])
    else:
        run(main, "mixture_memory")
