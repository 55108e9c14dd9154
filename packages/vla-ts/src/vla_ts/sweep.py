"""`explore`: many codecs on many data sets, measured alike, beside the Gaussian reference.

- a sweep is declared: codecs, the settings to vary, horizons; every combination is a point
- a point is one unit of work and leaves one JSON file: interrupted, the same call does what is missing
- data are read once, to a file that every worker opens
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from vla_data.config import merge, to_dict
from vla_data.errors import ConfigError
from vla_data.pool import map_units
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.registry import lookup
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_ts.codecs import CODECS
from vla_ts.points import Unit, load_point, measure_unit
from vla_ts.reference import Transform
from vla_ts.trajectories import Series, read_trajectories

SERIES, POINTS = "series", "points"


@dataclass(frozen=True)
class Sweep:
    """One kind of codec, over every combination of some settings.

    Args:
        codec: one of `CODECS`.
        grid: setting → values to take; a setting inside another one as `fit.steps`.
        settings: setting → value for all of them.
    """

    codec: str
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExploreConfig:
    """What to explore.

    Args:
        sweeps: codecs and the settings to vary.
        horizons: steps in a chunk.
        series: which series of the episodes.
        hz: bring all data sets to this rate; None keeps theirs.
        holdout: share of the episodes kept for measuring.
        folds: with 2 or more, every episode is measured on once, by codecs fitted to the other folds, and
            figures are means over the folds; for data sets of few episodes. Replaces `holdout`.
        seed: of the division.
        reference: how the Gaussian reference decorrelates chunks (`vla_ts.reference`).
        most_chunks: measured on, evenly spread.
    """

    sweeps: tuple[Sweep, ...]
    horizons: tuple[int, ...] = (16,)
    series: Series = "action"
    hz: float | None = None
    holdout: float = 0.2
    folds: int = 1
    seed: int = 0
    reference: Transform = "dct"
    most_chunks: int = 20_000

    def __post_init__(self) -> None:
        sound = 0 <= self.holdout < 1 and self.folds >= 1 and self.most_chunks >= 1
        if not (self.sweeps and self.horizons and sound and min(self.horizons) >= 1):
            raise ConfigError(
                "this cannot be explored",
                expected="a sweep, a horizon of 1 or more, holdout in [0, 1), folds and most_chunks ≥ 1",
                got=f"{len(self.sweeps)} sweeps, horizons {list(self.horizons)}, holdout {self.holdout}, "
                f"folds {self.folds}, most_chunks {self.most_chunks}",
            )


def _debug() -> ExploreConfig:
    sweeps = (
        Sweep("uniform_bins", {"bins": (16, 256)}),
        Sweep("dct_bpe", {"scale": (2.0, 8.0)}, {"vocab_size": 512}),
    )
    return ExploreConfig(sweeps, (8,), most_chunks=2000)


def _bins() -> ExploreConfig:
    bins = (4, 8, 16, 32, 64, 128, 256)
    sweeps = (
        Sweep("uniform_bins", {"bins": bins}),
        Sweep("quantile_bins", {"bins": bins, "spacing": ("even", "counts")}),
    )
    return ExploreConfig(sweeps, (8, 16))


def _default() -> ExploreConfig:
    sweeps = (
        Sweep("uniform_bins", {"bins": (4, 8, 16, 32, 64, 256)}),
        Sweep("quantile_bins", {"bins": (4, 8, 16, 32, 64, 256), "spacing": ("even", "counts")}),
        Sweep("dct_bpe", {"scale": (1.0, 2.0, 4.0, 8.0, 16.0), "vocab_size": (1024, 2048)}),
        Sweep("spline", {"coefficients": (2, 3, 4, 6, 8), "bins": (8, 32, 128)}),
        Sweep("vqvae", {"levels": (1, 2, 4)}, {"codebook_size": 256, "fit.threads": 1}),
    )
    return ExploreConfig(sweeps, (8, 16))


PRESETS: dict[str, Callable[[], ExploreConfig]] = {"default": _default, "bins": _bins, "debug": _debug}


def explore(
    sources: Sequence[EpisodeSource],
    config: ExploreConfig,
    out: Path,
    *,
    workers: int | None = None,
    skip_corrupt: bool = False,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Measure every combination on every data set, in worker processes; what `out` holds is kept.

    A codec that cannot be fitted with some settings (more control points than steps, say) is listed with
    the reason. Leaves `points.csv`, `explore.html` and the fitted figures in `out`.

    Returns:
        A summary of plain values, and the sections of the page.

    Raises:
        UnknownNameError: no such codec or setting.
        ConfigError: a setting of the wrong type.
        DataError: an episode cannot be used and `skip_corrupt` is off, or none is left.
    """
    from vla_ts.sweep_page import write_results

    settings = [s for sweep in config.sweeps for s in combinations(sweep)]
    skipped: list[Skipped] = []
    data = [_read(i, s, config, out, skip_corrupt, skipped, on_progress) for i, s in enumerate(sources)]
    units = [
        _unit(config, out, path, horizon, codec, chosen)
        for path, horizon, (codec, chosen) in product(data, config.horizons, settings)
    ]
    waiting = [unit for unit in units if not Path(unit.result).is_file()]
    done = len(units) - len(waiting)
    on_progress(Progress("explore", done, len(units), "points"))
    for unit, _ in map_units(measure_unit, waiting, workers):
        done += 1
        on_progress(Progress("explore", done, len(units), "points", message=unit.codec))
    return write_results([load_point(Path(u.result)) for u in units], config, out, len(skipped))


def combinations(sweep: Sweep) -> list[tuple[str, Any]]:
    """(codec, its settings) for every combination of a sweep.

    Raises:
        UnknownNameError: no such codec or setting; the message names the nearest.
        ConfigError: a value of the wrong type.
    """
    base = lookup("codec", CODECS, sweep.codec).settings()
    where = f"sweeps.{sweep.codec}"
    for name, value in sweep.settings.items():
        base = merge(base, _nested(name, value), where)
    found = []
    for values in product(*sweep.grid.values()):
        chosen = base
        for name, value in zip(sweep.grid, values, strict=True):
            chosen = merge(chosen, _nested(name, value), where)
        found.append((sweep.codec, chosen))
    return found


def _nested(name: str, value: Any) -> Any:
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


def _read(
    index: int,
    source: EpisodeSource,
    config: ExploreConfig,
    out: Path,
    skip_corrupt: bool,
    skipped: list[Skipped],
    on_progress: OnProgress,
) -> Path:
    path = out / SERIES / f"{index}-{source.name.replace('/', '-')}.npz"
    if not path.is_file() or skip_corrupt:  # read again, what is left out has to be counted
        read_trajectories(
            source,
            config.series,
            config.hz,
            skip_corrupt=skip_corrupt,
            skipped=skipped,
            on_progress=on_progress,
        ).save(path)
    return path


def _unit(config: ExploreConfig, out: Path, data: Path, horizon: int, codec: str, settings: Any) -> Unit:
    parts = {
        "data": data.name,
        "horizon": horizon,
        "codec": codec,
        "settings": to_dict(settings),
        "holdout": config.holdout,
        "folds": config.folds,
        "seed": config.seed,
        "reference": config.reference,
        "most_chunks": config.most_chunks,
    }
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]
    division = (config.holdout, config.folds, config.seed)
    result = str(out / POINTS / f"{name}.json")
    return Unit(str(data), horizon, codec, settings, division, config.reference, config.most_chunks, result)
