"""`vla ts`: time series into codes and back."""

from __future__ import annotations

from vla_cli.commands import ts_codecs, ts_explore, ts_vqvae
from vla_cli.parser import make_group

app = make_group("Time series: codecs that turn robot trajectories into a few codes and back.")

ts_vqvae.register(app)
ts_codecs.register(app)
ts_explore.register(app)
