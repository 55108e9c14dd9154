"""Seeds of placements: training, validation and evaluation draw from ranges that cannot meet."""

from __future__ import annotations

from typing import Literal

from vla_data.errors import ConfigError
from vla_data.registry import lookup

Split = Literal["train", "validation", "eval"]
WIDTH = 100_000_000

SPLITS: dict[str, range] = {
    "eval": range(WIDTH),
    "validation": range(WIDTH, 2 * WIDTH),
    "train": range(2 * WIDTH, 3 * WIDTH),
}


def placement_seed(split: Split, index: int) -> int:
    """The seed of placement `index` of a split.

    Raises:
        UnknownNameError: no such split.
        ConfigError: the index lies outside the split's range.
    """
    seeds = lookup("split of placements", SPLITS, split)
    if not 0 <= index < len(seeds):
        raise ConfigError(
            "a placement index lies outside its split",
            where=f"split {split}",
            expected=f"0…{len(seeds) - 1}",
            got=str(index),
        )
    return seeds[index]


def split_of(seed: int) -> str | None:
    """The split a seed belongs to; None for a seed of no split."""
    return next((name for name, seeds in SPLITS.items() if seed in seeds), None)
