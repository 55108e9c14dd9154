"""Perceive every episode once and store what the encoder takes: the part that nothing is trained in.

A clip that is there and was made alike is kept, so that interrupted work goes on. With several workers each
loads the models itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from vla_data.config import config_hash, to_dict
from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.files import sha256_file
from vla_data.objects import is_labelled
from vla_data.pool import map_units
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.runs import MANIFEST, Manifest
from vla_data.types import Episode
from vla_data.usable import Requirements, Skipped, require_usable
from vla_vision.encoder.clips import (
    INDEX,
    Clip,
    ClipInfo,
    FeatureStore,
    finish_store,
    save_clip,
    stored_info,
)
from vla_vision.encoder.config import FeatureConfig
from vla_vision.encoder.extractor import FeatureExtractor
from vla_vision.encoder.features import stack
from vla_vision.encoder.truth import ClassTruth, class_truth
from vla_vision.labels.naming import class_names_of, file_stem
from vla_vision.perception.sight import LABELS, Sight, SightConfig, depth_origin

REQUIRE = Requirements(min_steps=2, finite=False)


@dataclass(frozen=True)
class ExtractConfig:
    """What is stored of episodes.

    Args:
        features: sizes; without class names, those of the detector (or of the labels) are taken.
        sight: what looks at the frames.
        cameras: empty stands for all.
        every: one frame in so many is kept; all are perceived.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    sight: SightConfig = field(default_factory=SightConfig)
    cameras: tuple[str, ...] = ()
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(
                "no frame would be kept", where="every", expected="at least 1", got=str(self.every)
            )


@dataclass(frozen=True)
class _Unit:
    """An episode to look at, and how."""

    source: EpisodeSource
    index: int
    config: ExtractConfig
    identity: str
    directory: Path
    skip_corrupt: bool

    def __str__(self) -> str:
        return f"episode {self.index} of {self.source.name}"


def extract_features(
    source: EpisodeSource,
    config: ExtractConfig,
    directory: Path,
    on_progress: OnProgress = no_progress,
    *,
    workers: int | None = 1,
    skip_corrupt: bool = False,
    skipped: list[Skipped] | None = None,
) -> FeatureStore:
    """Perceive all episodes and store their features under `directory`.

    Args:
        workers: processes, None for one a core; 1 works in this one. `source` must be picklable for more.
        skip_corrupt: leave out episodes that cannot be read or perceived; each is added to `skipped`.

    Raises:
        DataError: no episode has images, or one is damaged and `skip_corrupt` is off.
        ConfigError: the detector knows none of the classes of `config.features`.
        UnknownNameError: a camera that no episode has.
    """
    config = with_classes(source, config, skip_corrupt=skip_corrupt)
    made = identity_of(config)
    units = [_Unit(source, i, config, made, directory, skip_corrupt) for i in range(len(source))]
    directory.mkdir(parents=True, exist_ok=True)
    found: dict[int, tuple[ClipInfo, ...]] = {}
    done = ((u, _extract(u)) for u in units) if workers == 1 else map_units(_extract, units, workers)
    try:
        for unit, (infos, note) in done:
            found[unit.index] = infos
            if note is not None and skipped is not None:
                skipped.append(note)
            on_progress(Progress("perceive", len(found), len(units), "episodes"))
    finally:
        _sight.cache_clear()
    clips = [info for _, infos in sorted(found.items()) for info in infos]
    _require_clips(source, config, clips)
    return finish_store(directory, config.features, clips)


def stored_features(source: EpisodeSource, config: ExtractConfig, directory: Path) -> FeatureStore | None:
    """What `extract_features` left in a directory, where it is of these episodes and made alike; else None.

    Raises:
        CheckpointError: a file of it is missing or does not match its manifest.
    """
    if not (directory / INDEX).is_file():
        return None
    config = with_classes(source, config)
    store, made = FeatureStore(directory), identity_of(config)
    episodes = {c.episode: c.id for c in store.clips}
    same = (
        store.config == config.features
        and sorted(episodes) == list(range(len(source)))
        and all(stored_info(directory / c.file, made) == c for c in store.clips)
        and all(source[i].id == ident for i, ident in episodes.items())
    )
    return store if same else None


def with_classes(
    source: EpisodeSource, config: ExtractConfig, *, skip_corrupt: bool = False
) -> ExtractConfig:
    """The configuration with the class names that its detector or the labels give, where it names none.

    Raises:
        ConfigError: it names classes and the detector knows none of them.
    """
    names = config.features.class_names
    if config.sight.detector is None and (names or not (len(source) and is_labelled(source[0]))):
        return config
    if config.sight.detector in (None, LABELS):
        known = names or class_names_of(source, skip_corrupt=skip_corrupt)
    else:
        known = _sight(config.sight, ()).class_names
    require_classes(names, known)
    return config if names else replace(config, features=replace(config.features, class_names=known))


def require_classes(wanted: Sequence[str], known: Iterable[str]) -> None:
    """Raise ConfigError where a detector knows none of the classes that tokens are to tell apart."""
    names = tuple(known)
    if wanted and not set(wanted) & set(names):
        raise ConfigError(
            "a detector knows none of the encoder's classes",
            where="class_names",
            expected=", ".join(wanted),
            got=", ".join(names) or "no class",
            next_step="use the detector that the encoder was trained with, or one of the same classes",
        )


@lru_cache(1)
def _sight(config: SightConfig, class_names: tuple[str, ...]) -> Sight:
    """Models are loaded once a process."""
    return Sight(config, class_names)


def _named(config: ExtractConfig) -> tuple[str, ...]:
    """The class names that `Sight` is told: those of a detector are its own."""
    return config.features.class_names if config.sight.detector in (None, LABELS) else ()


def identity_of(config: ExtractConfig) -> str:
    """A digest of all that features depend on beside the frames: sizes, settings, weights."""
    sight = config.sight
    weights = [weights_digest(Path(w)) for w in (sight.detector, sight.depth, sight.look) if w is not None]
    return config_hash({"config": to_dict(replace(config, cameras=())), "weights": weights})


def weights_digest(path: Path) -> str:
    """What proves weights the same: the digest of their manifest or file; "" where nothing lies there."""
    if (path / MANIFEST).is_file():
        return Manifest.load(path).digest
    return sha256_file(path) if path.is_file() else ""


def _extract(unit: _Unit) -> tuple[tuple[ClipInfo, ...], Skipped | None]:
    try:
        return tuple(_clips(unit)), None
    except DataError as error:
        if not unit.skip_corrupt:
            raise
        return (), Skipped(unit.index, getattr(error, "kind", error.message), str(error))


def _clips(unit: _Unit) -> list[ClipInfo]:
    config = unit.config
    episode = unit.source[unit.index]
    require_usable(episode, REQUIRE, unit.source.name)
    infos = []
    for camera in [c for c in sorted(episode.images) if not config.cameras or c in config.cameras]:
        path = unit.directory / f"{file_stem(unit.index, camera)}.safetensors"
        info = stored_info(path, unit.identity)
        if info is None:
            clip = look_at(
                episode, unit.index, camera, config, _sight(config.sight, config.features.class_names)
            )
            save_clip(path, clip, unit.identity)
            info = clip.info
        infos.append(info)
    return infos


def look_at(episode: Episode, index: int, camera: str, config: ExtractConfig, sight: Sight) -> Clip:
    """One camera of one episode, perceived."""
    extractor = FeatureExtractor(config.features)
    source = sight.source(episode, camera)
    seen = [extractor.update(percept) for percept in sight.look(source)]
    features = stack(seen[:: config.every])
    rate = source.frame_rate / config.every
    info = ClipInfo(
        f"{file_stem(index, camera)}.safetensors",
        index,
        episode.id,
        camera,
        len(features),
        float(rate),
        depth_origin(config.sight, source),
        extractor.left_out,
    )
    truth = class_truth(episode, camera, config.features.class_names)
    if truth is not None:
        picked = [getattr(truth, name)[:: config.every] for name in ("visible", "position", "velocity")]
        truth = ClassTruth(*picked)
    return Clip(info, features, truth)


def _require_clips(source: EpisodeSource, config: ExtractConfig, clips: Sequence[ClipInfo]) -> None:
    known = {clip.camera for clip in clips} or set(source[0].images if len(source) else ())
    for camera in config.cameras if known else ():
        if camera not in known:
            raise UnknownNameError("camera", camera, known, where=source.name)
    if not clips:
        raise DataError(
            "there is nothing to look at",
            where=source.name,
            expected="episodes with images of " + (", ".join(config.cameras) or "some camera"),
            got=f"{len(source)} episodes, none that can be used",
        )
