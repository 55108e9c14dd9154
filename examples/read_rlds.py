"""Read a data set in TFDS layout with vla-data[rlds] alone: no TensorFlow, no torch.

    python examples/read_rlds.py DATASET [SPLIT]

DATASET is a version directory such as `bridge_dataset/1.0.0`, or one that holds it.
"""

from __future__ import annotations

import sys

from vla_data import open_episodes
from vla_data.normalize import Normalizer, NormStats


def main(uri: str, split: str = "train") -> None:
    source = open_episodes(uri, split)
    action = source.robot.action
    print(f"{source.name}: {len(source)} episodes of {source.robot.name} at {action.control_hz:g} Hz")
    print("action:", ", ".join(f"{d.name} ({d.mode}, {d.unit})" for d in action.dims))

    # An episode is columnar and its images decode only when looked at.
    episode = source[0]
    print(f"first episode: {len(episode)} steps, {episode.instruction!r}")
    for name, frames in episode.images.items():
        print(f"  {name}: {frames[0].shape}, mean brightness {frames[0].mean():.0f}")

    # `read_series` leaves the images alone, so statistics over everything are quick.
    stats = NormStats.of(source.read_series(i).action for i in range(len(source)))
    scaled = Normalizer(stats, "quantile").normalize(episode.action)
    print(f"actions of {stats.count} steps; the first, q01…q99 put on −1…1: {scaled[0].round(2)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
