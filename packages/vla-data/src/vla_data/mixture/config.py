"""What a mixture is made of. Plain values, as a TOML file gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vla_data.config import from_dict, read_config_file
from vla_data.errors import ConfigError
from vla_data.registry import lookup

Embedding = Literal["same", "union", "pad"]
Weighting = Literal["given", "size"]


@dataclass(frozen=True)
class DatasetShare:
    """A data set of a mixture.

    Args:
        uri: as `vla_data.open_episodes` takes it; in a file, relative to that file where it exists there.
        weight: its part of the samples, relative to the others' (see `MixtureConfig.weighting`).
        split: which split.
        name: how samples and tables call it; empty for the data set's own name.
        cameras: role → the data set's name of that camera, where it is not the role itself.
        skip: leave out episodes that cannot be read or used, counted, instead of raising.
    """

    uri: str
    weight: float = 1.0
    split: str = "train"
    name: str = ""
    cameras: Mapping[str, str] = field(default_factory=dict)
    skip: bool = False


@dataclass(frozen=True)
class WindowConfig:
    """What one sample shows.

    Args:
        history: observations, the latest last.
        action_horizon: actions from the latest observation on.
        cameras: roles; one that a data set lacks is masked.
        image_size: (height, width) that `MixtureBatches` resizes frames to; None leaves them, and then all
            data sets must have a camera at the same size.
        paraphrases: say any wording of the instruction, not always the first.
    """

    history: int = 1
    action_horizon: int = 8
    cameras: tuple[str, ...] = ("primary",)
    image_size: tuple[int, int] | None = None
    paraphrases: bool = True


@dataclass(frozen=True)
class MixtureConfig:
    """Which data sets, in which shares, cut how.

    Args:
        dataset: the data sets, by weight.
        window: what a sample shows.
        weighting: "given" shares samples by weight; "size" by weight × steps ** (1 / temperature).
        temperature: 1 draws every step of every data set equally often, large ones draw data sets equally.
        seed: of the order of samples.
        embedding: what to do about robots that differ. "same" refuses; "union" gives every meaning of an
            action or state dimension a column of its own; "pad" aligns them left, whatever they mean, which
            only a model with a head per data set can tell apart. Both mask what is not there.
        epoch_samples: samples of an epoch; None for as many as there are steps.
        lanes: see `vla_data.mixture.order`; sharding by a divisor of it reads every episode in one worker.
        pool: episodes each lane has in use at a time.
        cache_bytes: encoded episodes kept by each process.
    """

    dataset: tuple[DatasetShare, ...]
    window: WindowConfig = WindowConfig()
    weighting: Weighting = "given"
    temperature: float = 1.0
    seed: int = 0
    embedding: Embedding = "same"
    epoch_samples: int | None = None
    lanes: int = 32
    pool: int = 32
    cache_bytes: int = 1024 * 1024 * 1024

    def __post_init__(self) -> None:
        window = self.window
        for name, value, ok, expected in (
            ("dataset", len(self.dataset), bool(self.dataset), "one data set at least"),
            ("temperature", self.temperature, 0 < self.temperature < math.inf, "a positive number"),
            (
                "epoch_samples",
                self.epoch_samples,
                self.epoch_samples is None or self.epoch_samples > 0,
                "≥ 1",
            ),
            ("lanes", self.lanes, 1 <= self.lanes <= 4096, "1 to 4096"),
            ("pool", self.pool, self.pool >= 1, "≥ 1"),
            ("cache_bytes", self.cache_bytes, self.cache_bytes >= 0, "≥ 0"),
            ("window.history", window.history, window.history >= 1, "≥ 1"),
            ("window.action_horizon", window.action_horizon, window.action_horizon >= 1, "≥ 1"),
            *(
                (f"dataset.{d.name or d.uri}.weight", d.weight, 0 < d.weight < math.inf, "a positive number")
                for d in self.dataset
            ),
        ):
            if not ok:
                raise ConfigError(
                    "a mixture's setting is out of range", where=name, expected=expected, got=repr(value)
                )


def load_mixture(path: str | Path, locate: Callable[[str], str] = str) -> MixtureConfig:
    """The mixture a TOML or JSON file describes: `[[dataset]]` tables, `[window]` and the other settings.

    Args:
        path: the file; or the name of a preset (`vla_data.mixture.presets`).
        locate: turns an address that is no path beside the file into one that can be opened.

    Raises:
        ConfigError: the file cannot be read, or a value is missing, of the wrong type or out of range.
        UnknownNameError: it holds a key that does not exist, or there is neither such a file nor a preset.
    """
    name, path = str(path), Path(path)
    if not path.suffix and not path.exists():
        from vla_data.mixture.presets import PRESETS

        config = lookup("mixture", PRESETS, name)()
        return replace(config, dataset=tuple(replace(d, uri=locate(d.uri)) for d in config.dataset))
    data: Any = read_config_file(path)
    try:
        config = from_dict(MixtureConfig, data)
    except ConfigError as error:
        error.where = f"{error.where} in {path}" if error.where else str(path)
        raise

    def found(share: DatasetShare) -> DatasetShare:
        beside = path.parent / share.uri
        return replace(share, uri=str(beside) if beside.exists() else locate(share.uri))

    return replace(config, dataset=tuple(map(found, config.dataset)))
