"""Run by an interpreter that has the released lerobot package: load a data set with it, or let it write one.

Usage: python lerobot_peer.py load ROOT OUT.npz, or python lerobot_peer.py write ROOT
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

LENGTHS, FPS, SIZE = (6, 9, 4), 12, (48, 64)


def made(number: int) -> dict[str, np.ndarray]:
    """The columns of an episode that the package is given to write."""
    rng, steps = np.random.default_rng(number), LENGTHS[number]
    ramp = np.linspace(0, 200, SIZE[1])[None, None, :, None] + 10 * np.arange(steps)[:, None, None, None]
    smooth = np.broadcast_to(ramp % 250, (steps, *SIZE, 3)).astype(np.uint8)
    return {
        "action": rng.normal(size=(steps, 3)).astype(np.float32),
        "observation.state": rng.normal(size=(steps, 2)).astype(np.float32),
        "next.reward": rng.normal(size=(steps, 1)).astype(np.float32),
        "observation.images.top": smooth,
        "observation.images.hand": rng.integers(0, 256, (steps, 16, 16, 3), np.uint8),
    }


def write(root: str) -> None:
    """Episodes of `made`, one camera as video and one as images."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # type: ignore[import-not-found]

    colours = ["height", "width", "channels"]
    features = {
        "action": {"dtype": "float32", "shape": (3,), "names": {"motors": ["pan", "lift", "jaw"]}},
        "observation.state": {"dtype": "float32", "shape": (2,), "names": ["pan", "lift"]},
        "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
        "observation.images.top": {"dtype": "video", "shape": (*SIZE, 3), "names": colours},
        "observation.images.hand": {"dtype": "image", "shape": (16, 16, 3), "names": colours},
    }
    data = LeRobotDataset.create("made/up", FPS, features, root=root, robot_type="so100")
    for number in range(len(LENGTHS)):
        columns = made(number)
        for t in range(LENGTHS[number]):
            data.add_frame({k: v[t] for k, v in columns.items()} | {"task": f"task {number % 2}"})
        data.save_episode(parallel_encoding=False)
    data.finalize()


def load(root: str, out: str) -> None:
    """Every value of every step, by key."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # type: ignore[import-not-found]

    data = LeRobotDataset("made/up", root=root)
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    texts: dict[str, list[str]] = defaultdict(list)
    for i in range(len(data)):
        for key, value in data[i].items():
            if isinstance(value, str):
                texts[key].append(value)
            else:
                columns[key].append(value.numpy())
    for key in data.meta.camera_keys:  # [3, height, width] in [0, 1]
        columns[key] = [np.round(v * 255).astype(np.uint8).transpose(1, 2, 0) for v in columns[key]]
    arrays = {key: np.stack(values) for key, values in columns.items()}
    arrays |= {f"text/{key}": np.array(values) for key, values in texts.items()}
    for key, named in data.meta.stats.items():
        arrays |= {f"stats/{key}/{name}": np.asarray(value) for name, value in named.items()}
    arrays["fps"], arrays["episodes"] = np.array(data.fps), np.array(data.num_episodes)
    np.savez(Path(out), **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    {"load": load, "write": write}[sys.argv[1]](*sys.argv[2:])
