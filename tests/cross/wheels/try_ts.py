"""vla-ts without vla-vision and vla-model: a codec fitted, saved, loaded, chunks to codes and back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from _source import Circles
from _wheel import check_absent, check_wheel, import_all

from vla_data.chunks import chunk_actions
from vla_data.protocols import no_progress
from vla_ts import fit_vqvae, load_codec
from vla_ts.fit import PRESETS

check_wheel("vla-ts")
check_absent("vla_vision", "vla_model", "vla_cli", "transformers", "tensorflow", "mujoco", "typer")
import_all("vla_ts")

with tempfile.TemporaryDirectory() as folder:
    fit_vqvae(Circles(), PRESETS["debug"](), Path(folder), no_progress)
    codec = load_codec(Path(folder))
    chunks = chunk_actions(Circles()[0].action, codec.action_horizon)
    codes = codec.encode(chunks)
    assert codes.shape == (len(chunks), codec.tokens_per_chunk)
    assert 0 <= codes.min() <= codes.max() < codec.vocab_size
    assert codec.decode(codes).shape == chunks.shape
    assert np.isfinite(codec.decode(codes)).all()
