"""Turn robot actions into a few codes and back, with vla-ts (and vla-data[rlds] to read them).

    python examples/compress_actions.py DATASET OUT [PRESET]

Fits a VQ-VAE to the action chunks of a data set, writes the codec to OUT, and says how far the decoded
actions are from the real ones. PRESET `debug` takes seconds and is of no use beyond that.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from vla_data import open_episodes
from vla_data.chunks import chunk_actions
from vla_ts import fit_vqvae, load_codec
from vla_ts.fit import PRESETS


def main(uri: str, out: str, preset: str = "default") -> None:
    source = open_episodes(uri)
    summary, _ = fit_vqvae(source, PRESETS[preset](), Path(out))
    print("fitted:", summary)

    codec = load_codec(Path(out))
    chunks = np.concatenate(
        [chunk_actions(source.read_series(i).action, codec.action_horizon) for i in range(len(source))]
    )
    codes = codec.encode(chunks)
    numbers = codec.action_horizon * codec.spec.dim
    bits = codes.shape[1] * np.log2(codec.vocab_size)
    print(f"a chunk of {numbers} numbers becomes {codes.shape[1]} codes ({bits:.0f} bits)")
    print("the first:", codes[0])

    error = np.abs(codec.decode(codes) - chunks).mean(axis=(0, 1))
    for dim, value in zip(codec.spec.dims, error, strict=True):
        print(f"  {dim.name}: mean error {value:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
