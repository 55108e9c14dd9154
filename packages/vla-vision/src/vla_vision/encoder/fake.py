"""Features of the right shapes and random content, for tests and warm-up."""

from __future__ import annotations

import numpy as np

from vla_vision.encoder.config import FeatureConfig
from vla_vision.encoder.features import OBJECTS, FrameFeatures, empty_table, from_arrays

FLOATS = ("position", "velocity", "world_position", "world_velocity", "motion")


def fake_features(config: FeatureConfig, lead: tuple[int, ...] = (), seed: int = 0) -> FrameFeatures:
    """Features with these leading axes; about half of the rows hold an object."""
    rng = np.random.default_rng(seed)
    table = {n: np.broadcast_to(a, (*lead, *a.shape)).copy() for n, a in empty_table(config).items()}
    shape = table["valid"].shape
    valid = rng.random(shape) < 0.5
    table |= {"valid": valid, "seen": valid & (rng.random(shape) < 0.8), "placed": valid.copy()}
    table["ids"] = np.where(valid, rng.integers(1, 100, shape), 0)
    table["kinds"] = np.where(valid, rng.integers(0, config.classes, shape), 0)
    table["scores"], table["depths"] = (
        np.where(valid, rng.uniform(0.3, 2, shape), 0).astype(np.float32) for _ in "ab"
    )
    low = rng.uniform(0, 0.7, (*shape, 2))
    table["boxes"] = np.concatenate([low, low + 0.2], -1)
    for name in FLOATS:
        table[name] = rng.normal(0, 0.3, table[name].shape)
    for name in [n for n in table if n.endswith("_std")]:
        table[name] = rng.uniform(0, 0.1, table[name].shape)
    table["looks"] = rng.normal(0, config.look_dim**-0.5, table["looks"].shape).astype(np.float16)
    for name in ("boxes", *FLOATS, *(n for n in table if n.endswith("_std")), "looks"):
        table[name] = (table[name] * valid[..., None]).astype(np.float16 if name == "looks" else np.float32)
    size = (*lead, config.height, config.width)
    dense = {
        "time": np.broadcast_to(np.arange(lead[-1]) / 10.0 if lead else 0.0, lead).astype(np.float64),
        "in_world": np.ones(lead, bool),
        "rgb": rng.integers(0, 256, (*size, 3), np.uint8),
        "depth": (rng.uniform(0.3, 2, size) * (rng.random(size) < 0.9)).astype(np.float16),
        "flow": rng.normal(0, 0.2, (*size, 2)).astype(np.float16),
        "flow_known": np.ones(lead, bool),
    }
    return from_arrays(dense | {OBJECTS + name: a for name, a in table.items()})
