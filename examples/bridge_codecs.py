"""Which codec for these actions? A walk through vla-ts on a data set, cell by cell (`# %%`).

    python examples/bridge_codecs.py DATASET [PAGE.html]

Written for Bridge, 7 numbers a step at 5 Hz, of which a few episodes are enough to see something; any data
set that `vla_data.open_episodes` reads will do. Needs vla-ts and vla-data[rlds], and some seconds.
"""

# %%
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from vla_data import open_episodes
from vla_data.charts import Line, LineChart
from vla_data.report import Section, Table, write_page
from vla_ts import GaussianReference, fit_codec, read_trajectories
from vla_ts.bins import UniformBinsConfig
from vla_ts.dct_bpe import DctBpeConfig
from vla_ts.fit import PRESETS
from vla_ts.quality import measure

DATASET = sys.argv[1]
PAGE = Path(sys.argv[2]) if len(sys.argv) > 2 else None
HORIZON = 8

# %% The actions of every episode; images stay unread. A third of the episodes is kept to measure on.
data = read_trajectories(open_episodes(DATASET, "train"))
learnt, held = data.split(0.34)
chunks = held.chunks(HORIZON)
dims = [d.name for d in data.spec.dims]
print(
    f"{data.name}: {len(data.episodes)} episodes, {data.steps} steps of {dims} at {data.spec.control_hz:g} Hz"
)
print(f"{len(learnt.chunks(HORIZON))} chunks to learn from, {len(chunks)} to measure on\n")

# %% Codecs to compare, each at a few settings. The learnt one puts a grid over the principal axes (FSQ).
few = PRESETS["few"]()
SETTINGS = {
    "uniform_bins": [UniformBinsConfig(n) for n in (4, 8, 16, 32)],
    "dct_bpe": [DctBpeConfig(s, 512) for s in (1.0, 2.0, 4.0, 8.0)],
    "vqvae": [replace(few, levels=n, codebook_size=256) for n in (1, 2, 4, 6)],
}
known = learnt.chunks(HORIZON)
measured = {
    kind: [
        measure(kind, fit_codec(kind, learnt, HORIZON, s), chunks, learnt.stats(), known) for s in settings
    ]
    for kind, settings in SETTINGS.items()
}

# %% What each costs, and what a Gaussian with the same covariance would at the same error.
reference = GaussianReference.of(chunks, learnt.stats())
rows = [
    (
        kind,
        f"{q.error.nmse:.4f}",
        f"{q.rate.tokens:.1f}",
        f"{q.rate.bits:.1f}",
        f"{reference.bits(q.error.nmse):.1f}",
        f"{q.robust.decodable[1]:.0%}",
    )
    for kind, qualities in measured.items()
    for q in qualities
]
header = ("codec", "NMSE", "codes", "bits", "reference", "decodable, 5% of codes wrong")
for row in (header, *rows):
    print("  ".join(cell.rjust(12) for cell in row))

# %% The first code alone is a coarse motion; each one more says what the ones before left over.
codec = fit_codec("vqvae", learnt, HORIZON, SETTINGS["vqvae"][-1])
codes = codec.encode(chunks)
print("\na chunk's codes:", codes[0])
for n in range(1, codes.shape[1] + 1):
    error = np.sqrt(np.square(codec.decode(codes[:, :n]) - chunks).mean(axis=(0, 1)))
    print(f"first {n}: RMSE " + "  ".join(f"{d} {e:.3f}" for d, e in zip(dims, error, strict=True)))

# %% One page: rate against error, and a chunk with its decoded versions.
if PAGE is not None:
    lines = [
        Line(kind, tuple(q.rate.bits for q in qs), tuple(q.error.nmse for q in qs), marks=True)
        for kind, qs in measured.items()
    ]
    curve = reference.curve(0.02, 0.8)
    lines.append(Line("Gaussian reference", tuple(curve[:, 1]), tuple(curve[:, 0])))
    moves = int(np.abs(chunks).sum(axis=1).sum(axis=1).argmax())
    steps = tuple(float(t) for t in range(HORIZON))
    shown = [Line("real", steps, tuple(float(v) for v in chunks[moves, :, 0]), marks=True)]
    for n in (1, 2, codes.shape[1]):
        decoded = codec.decode(codes[moves : moves + 1, :n])[0, :, 0]
        shown.append(Line(f"{n} codes", steps, tuple(float(v) for v in decoded)))
    rate = LineChart("Rate and distortion", tuple(lines), "bits per chunk", "NMSE", log_y=True)
    chunk = LineChart(f"{dims[0]} of one chunk", tuple(shown), "step", data.spec.dims[0].unit or "normalised")
    write_page(
        PAGE,
        f"Codecs of {data.name}",
        [Section("Held-out episodes", (rate, Table(header, tuple(rows)), chunk))],
    )
    print(f"\nwrote {PAGE}")
