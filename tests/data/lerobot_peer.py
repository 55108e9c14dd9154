"""Run by an interpreter that has the released lerobot package: load a data set with it, save what it gives.

Usage: python lerobot_peer.py ROOT OUT.npz
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np


def main(root: str, out: str) -> None:
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
    main(*sys.argv[1:])
