"""`vla ts`: time series into codes and back."""

from __future__ import annotations

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import ts_codecs, ts_explore
from vla_cli.parser import example, make_group

app = make_group("Time series: codecs that turn robot trajectories into a few codes and back.")


@app.command("fit-vqvae", epilog=example("vla ts fit-vqvae --data runs/reach --out runs/codec"))
def fit_vqvae(
    data: o.Data,
    out: o.Out,
    split: o.Split = "train",
    device: o.Device = None,
    seed: o.Seed = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Fit a VQ-VAE to the action chunks of a data set."""
    from vla_data import open_episodes
    from vla_ts import fit_vqvae
    from vla_ts.fit import PRESETS

    chosen = o.make_config(PRESETS, preset, config, set_, fit=o.given(device=device, seed=seed))
    data = o.locate(data)
    source = open_episodes(data, split)
    stages.run(
        "fit-vqvae",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data),
        lambda on: fit_vqvae(source, chosen, out, on),
        as_json,
    )


ts_codecs.register(app)
ts_explore.register(app)
