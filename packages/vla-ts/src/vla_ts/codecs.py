"""Every kind of codec by name: what can be set, how it is fitted, how it is read back.

A codec joins by one line in `CODECS`. Heavy imports stay inside the factories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vla_data.errors import ConfigError
from vla_data.files import read_json
from vla_data.protocols import ActionCodec, OnProgress, no_progress
from vla_data.registry import lookup
from vla_data.types import ActionSpec
from vla_ts.storage import CONFIG, codec_directory
from vla_ts.trajectories import Trajectories

FITTED_CHUNKS = 200_000


@dataclass(frozen=True)
class Family:
    """One kind of codec.

    Args:
        about: what it does, in a line.
        settings: its default settings, a frozen dataclass.
        fit: trajectories, action horizon, settings and progress to a codec.
        load: from the directory it was saved in.
    """

    about: str
    settings: Callable[[], Any]
    fit: Callable[[Trajectories, int, Any, OnProgress], ActionCodec]
    load: Callable[[Path], ActionCodec]


def fit_codec(
    name: str,
    trajectories: Trajectories,
    action_horizon: int,
    settings: Any = None,
    on_progress: OnProgress = no_progress,
) -> ActionCodec:
    """Fit a codec of this kind.

    Args:
        name: one of `CODECS`.
        trajectories: what to fit it to; its spec becomes the codec's.
        action_horizon: steps in a chunk.
        settings: of this kind; None takes its defaults.

    Raises:
        UnknownNameError: no such kind.
        ConfigError: settings of another kind, or ones that contradict each other or the data.
        DataError: the data hold NaN or infinity.
    """
    family = lookup("codec", CODECS, name)
    default = family.settings()
    if settings is not None and type(settings) is not type(default):
        raise ConfigError(
            "settings of another codec",
            where=name,
            expected=type(default).__name__,
            got=type(settings).__name__,
        )
    return family.fit(trajectories, action_horizon, settings or default, on_progress)


def load_codec_of(directory: Path, embodiment: str | None) -> ActionCodec:
    """`load_codec`, of one of the robots that share the codec, by the name of its data set.

    Raises:
        UnknownNameError: it knows no such embodiment; a codec of one robot knows none.
    """
    codec = load_codec(directory)
    if embodiment is None:
        return codec
    members = {name: name for name in getattr(codec, "embodiments", ())}
    return codec.of_embodiment(lookup("embodiment", members, embodiment))  # type: ignore[attr-defined]


def load_codec(directory: Path, spec: ActionSpec | None = None, where: str = "") -> ActionCodec:
    """The codec saved in `directory`, or in the run of a fit that `directory` is.

    Args:
        directory: of the codec or the run.
        spec: of the robot it is for, `where` that is from; a codec of several robots then comes as that
            robot's. None takes a codec as it was saved, that of several robots as the first one's.

    Raises:
        CheckpointError: there is no codec, or its files do not match its manifest.
        UnknownNameError: it is of a kind this version does not know.
        SpecMismatchError: it was fitted to actions of another meaning than `spec`.
    """
    inner = codec_directory(directory)
    codec = lookup("codec", CODECS, str(read_json(inner / CONFIG).get("codec"))).load(inner)
    if spec is None:
        return codec
    for name in getattr(codec, "embodiments", ()):
        own = codec.of_embodiment(name)  # type: ignore[attr-defined]
        if own.spec == spec:
            return own
    codec.spec.require_same(spec, where or str(directory))
    return codec


def _uniform_settings() -> Any:
    from vla_ts.bins import UniformBinsConfig

    return UniformBinsConfig()


def _fit_uniform(data: Trajectories, horizon: int, settings: Any, on_progress: OnProgress) -> ActionCodec:
    from vla_ts.bins import UniformBinsCodec

    return UniformBinsCodec.fit(data.chunks(horizon, FITTED_CHUNKS), data.spec, settings)


def _load_uniform(directory: Path) -> ActionCodec:
    from vla_ts.bins import UniformBinsCodec

    return UniformBinsCodec.load(directory)


def _quantile_settings() -> Any:
    from vla_ts.bins import QuantileBinsConfig

    return QuantileBinsConfig()


def _fit_quantile(data: Trajectories, horizon: int, settings: Any, on_progress: OnProgress) -> ActionCodec:
    from vla_ts.bins import QuantileBinsCodec

    return QuantileBinsCodec.fit(data.chunks(horizon, FITTED_CHUNKS), data.spec, settings)


def _load_quantile(directory: Path) -> ActionCodec:
    from vla_ts.bins import QuantileBinsCodec

    return QuantileBinsCodec.load(directory)


def _dct_settings() -> Any:
    from vla_ts.dct_bpe import DctBpeConfig

    return DctBpeConfig()


def _fit_dct(data: Trajectories, horizon: int, settings: Any, on_progress: OnProgress) -> ActionCodec:
    from vla_ts.dct_bpe import DctBpeCodec

    return DctBpeCodec.fit(data.chunks(horizon, FITTED_CHUNKS), data.spec, settings)


def _load_dct(directory: Path) -> ActionCodec:
    from vla_ts.dct_bpe import DctBpeCodec

    return DctBpeCodec.load(directory)


def _spline_settings() -> Any:
    from vla_ts.spline import SplineConfig

    return SplineConfig()


def _fit_spline(data: Trajectories, horizon: int, settings: Any, on_progress: OnProgress) -> ActionCodec:
    from vla_ts.spline import SplineCodec

    return SplineCodec.fit(data.chunks(horizon, FITTED_CHUNKS), data.spec, settings)


def _load_spline(directory: Path) -> ActionCodec:
    from vla_ts.spline import SplineCodec

    return SplineCodec.load(directory)


def _vqvae_settings() -> Any:
    from vla_ts.fit import PRESETS

    return PRESETS["default"]()


def _fit_vqvae(data: Trajectories, horizon: int, settings: Any, on_progress: OnProgress) -> ActionCodec:
    from vla_ts.training import train_vqvae

    config = replace(settings, action_horizon=horizon)
    with TemporaryDirectory() as scratch:  # of metrics and resume states: nobody comes back for them
        return train_vqvae(data, config, Path(scratch), on_progress)[0]


def _load_vqvae(directory: Path) -> ActionCodec:
    from vla_ts.vqvae import VqVaeCodec

    return VqVaeCodec.load(directory)


CODECS: dict[str, Family] = {
    "uniform_bins": Family("equal bins per number (RT-1)", _uniform_settings, _fit_uniform, _load_uniform),
    "quantile_bins": Family(
        "bins per number over q01 … q99 (OpenVLA)", _quantile_settings, _fit_quantile, _load_quantile
    ),
    "dct_bpe": Family("DCT, rounding and byte-pair encoding (FAST)", _dct_settings, _fit_dct, _load_dct),
    "spline": Family("B-spline control points (BEAST)", _spline_settings, _fit_spline, _load_spline),
    "vqvae": Family("learnt codebooks", _vqvae_settings, _fit_vqvae, _load_vqvae),
}
