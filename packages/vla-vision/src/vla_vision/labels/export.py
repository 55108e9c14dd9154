"""A data set of labelled images, or of sequences with ground truth, out of a data set of episodes.

The directory appears under its name when all of it is whole. The same episodes and settings give the same
bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_data.config import to_dict
from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.files import atomic_directory, write_json
from vla_data.objects import labelled_cameras, object_names
from vla_data.protocols import EpisodeSource, OnProgress, Progress, no_progress
from vla_data.types import Episode
from vla_data.usable import Requirements, Skipped, usable_episodes
from vla_vision.labels.config import LabelConfig
from vla_vision.labels.mot import MotSequence
from vla_vision.labels.naming import class_names_of, file_stem, split_of
from vla_vision.labels.pictures import ENDINGS
from vla_vision.labels.preview import Preview
from vla_vision.labels.teacher import Teacher, teacher_labels
from vla_vision.labels.truth import FrameLabels, LabelCounts, true_labels
from vla_vision.labels.yolo import SPLITS, YoloWriter
from vla_vision.tracking.loop import BLACK
from vla_vision.tracking.sinks import OpenVideo
from vla_vision.types import Frame

RECORD = "labels.json"
NOT_EMPTY = Requirements(min_steps=1, finite=False)


@dataclass(frozen=True)
class ExportOptions:
    """What an export is besides its labels.

    Args:
        teacher: says where things are, instead of the episodes.
        open_video: writes sequences as videos, such as `vla_data.video.Mp4Writer` (mot).
        preview: a PNG of some frames with their labels.
        skip_corrupt: leave out and count what cannot be read instead of raising.
    """

    teacher: Teacher | None = None
    open_video: OpenVideo | None = None
    preview: Path | None = None
    skip_corrupt: bool = False


def export_labels(
    source: EpisodeSource,
    out: Path,
    config: LabelConfig | None = None,
    options: ExportOptions | None = None,
    *,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Write `out/yolo` or `out/mot`; one that is there is replaced.

    Returns:
        directory, format, classes with their numbers of objects, episodes, frames, objects, what was left out
        by reason, and images of each split (yolo) or sequences (mot).

    Raises:
        DataError: an episode has no labels, lacks a camera or cannot be read and `skip_corrupt` is off, or
            nothing is left.
        UnknownNameError: no episode has objects of a class asked for.
        ConfigError: settings that exclude each other.
    """
    config, options = config or LabelConfig(), options or ExportOptions()
    _require_possible(config, options)
    export = _Export(source, config, options, on_progress)
    directory = Path(out) / config.format
    with atomic_directory(directory) as part:
        summary = export.run(part)
    if options.preview is not None:
        export.preview.write(options.preview)
    return {"directory": str(directory), **summary}


@dataclass
class _Export:
    """One export under way."""

    source: EpisodeSource
    config: LabelConfig
    options: ExportOptions
    on_progress: OnProgress
    counts: LabelCounts = field(default_factory=LabelCounts)
    skipped: list[Skipped] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)  # images a split, or frames a sequence
    episodes: int = 0
    preview: Preview = field(default_factory=Preview)
    classes: tuple[str, ...] = ()

    def run(self, directory: Path) -> dict[str, Any]:
        self.classes = self._class_names()
        if self.config.format == "yolo":
            self._write_yolo(directory)
        else:
            self._write_mot(directory)
        self._require_whole()
        summary = self._summary()
        write_json(directory / RECORD, summary | {"config": to_dict(self.config)})
        return summary

    def _class_names(self) -> tuple[str, ...]:
        """The classes asked for, which must be there; all there are where none was."""
        teacher, wanted = self.options.teacher, self.config.classes
        if teacher is not None:
            known: Iterable[str] = teacher.detector.class_names
        else:
            known = class_names_of(self.source, skip_corrupt=self.options.skip_corrupt)
        for name in wanted:
            if name not in known:
                raise UnknownNameError("class", name, known, where=self.source.name)
        return wanted or tuple(known)

    def _write_yolo(self, directory: Path) -> None:
        c = self.config
        writer = YoloWriter(directory, self.classes, ENDINGS[c.image_encoding], c.quality, c.outlines)
        for index, episode in self._episodes():
            split = split_of(index, len(self.source), c.val_every)
            for camera in self._cameras(episode):
                for labels in self._labels(episode, camera):
                    with self._damaged_frames():
                        image = episode.images[camera][labels.step]
                        if self._is_black(image):
                            continue
                        writer.add(f"{file_stem(index, camera)}-{labels.step:05d}", split, image, labels)
                        self._count(split, image, labels, f"{episode.id} {camera} {labels.step}")
        writer.finish()

    def _write_mot(self, directory: Path) -> None:
        c, names = self.config, []
        for index, episode in self._episodes():
            rate = episode.robot.action.control_hz / c.every
            for camera in self._cameras(episode):
                names.append(file_stem(index, camera))
                place, ending = directory / names[-1], ENDINGS[c.image_encoding]
                with MotSequence(place, rate, ending, c.quality, self.options.open_video) as sequence:
                    for labels in self._labels(episode, camera):
                        image = episode.images[camera][labels.step]
                        self._is_black(image)
                        sequence.add(image, labels)
                        self._count(names[-1], image, labels, f"{episode.id} {camera} {labels.step}")
        (directory / "seqmap.txt").write_text("".join(f"{n}\n" for n in ["name", *names]))
        (directory / "classes.txt").write_text("".join(f"{n}\n" for n in self.classes))

    def _episodes(self) -> Iterator[tuple[int, Episode]]:
        """The episodes that can be used."""
        total = len(self.source)
        self.on_progress(Progress("labels", 0, total, "episodes"))
        options = {"images": True, "skip_corrupt": self.options.skip_corrupt, "skipped": self.skipped}
        for index, episode in usable_episodes(self.source, NOT_EMPTY, **options):
            try:
                self._require_usable(episode)
            except DataError as error:
                if not self.options.skip_corrupt:
                    raise
                self.skipped.append(Skipped(index, error.message, str(error)))
                continue
            yield index, episode
            self.episodes += 1
            self.on_progress(Progress("labels", index + 1, total, "episodes"))

    def _require_usable(self, episode: Episode) -> None:
        if self.options.teacher is None:
            object_names(episode)
        for camera in self.config.cameras:
            if camera not in episode.images:
                raise DataError(
                    "an episode lacks a camera",
                    where=f"episode {episode.id}",
                    expected=camera,
                    got=", ".join(sorted(episode.images)) or "no camera",
                )
        whole = self.config.format == "mot" or self.options.teacher is not None
        if whole and self.options.skip_corrupt:  # a sequence is not to break off in its midst
            for camera in self._cameras(episode):
                for step in range(0, len(episode), self.config.every):
                    episode.images[camera][step]

    def _cameras(self, episode: Episode) -> tuple[str, ...]:
        if self.config.cameras:
            return self.config.cameras
        labelled = tuple(n for n in labelled_cameras(episode) if n in episode.images)
        return tuple(sorted(episode.images)) if self.options.teacher is not None else labelled

    def _labels(self, episode: Episode, camera: str) -> Iterable[FrameLabels]:
        c, teacher = self.config, self.options.teacher
        if teacher is not None:
            return teacher_labels(episode, camera, self.classes, teacher, c, self.counts)
        how = {"every": c.every, "min_pixels": c.min_pixels, "masks": c.outlines, "counts": self.counts}
        return true_labels(episode, camera, self.classes, **how)

    def _damaged_frames(self) -> Any:
        return _CountDamaged(self.counts) if self.options.skip_corrupt else nullcontext()

    def _is_black(self, image: Frame) -> bool:
        """Whether a frame shows nothing; such frames are counted."""
        black = int(image.max(initial=0)) < BLACK
        self.counts.black += black
        return black

    def _count(self, part: str, image: Any, labels: FrameLabels, caption: str) -> None:
        self.parts[part] += 1
        self.counts.add(labels)
        if self.options.preview is not None:
            self.preview.add(image, labels, caption)

    def _require_whole(self) -> None:
        empty = [s for s in SPLITS if not self.parts[s]] if self.config.format == "yolo" else []
        if empty or not self.counts.frames:
            raise DataError(
                "a split would hold no image" if self.counts.frames else "no frame is left to label",
                where=self.source.name,
                expected="at least two usable episodes, one for training and one for validation",
                got=f"{self.episodes} of {len(self.source)}; none for {' and '.join(empty) or 'sequences'}",
                next_step="use more episodes, or another share: --set val_every=2",
            )

    def _summary(self) -> dict[str, Any]:
        reasons = Counter(s.kind for s in self.skipped)
        yolo = self.config.format == "yolo"
        parts = {"images": {s: self.parts[s] for s in SPLITS}} if yolo else {"sequences": len(self.parts)}
        return {
            "format": self.config.format,
            "labels": "pseudo" if self.options.teacher is not None else "true",
            "episodes": self.episodes,
            **parts,
            **self.counts.to_dict(),
            "skipped": len(self.skipped),
            **({"reasons": dict(sorted(reasons.items()))} if reasons else {}),
        }


@dataclass
class _CountDamaged:
    """Counts a frame that cannot be read, and goes on."""

    counts: LabelCounts

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        self.counts.damaged += isinstance(error, DataError)
        return isinstance(error, DataError)


def _require_possible(config: LabelConfig, options: ExportOptions) -> None:
    wrong = ""
    if config.outlines and (config.format != "yolo" or options.teacher is not None):
        wrong = "outlines need masks: true labels in the yolo format"
    elif options.open_video is not None and config.format != "mot":
        wrong = "videos are for sequences: the mot format"
    if wrong:
        raise ConfigError("labels cannot be written like this", where="LabelConfig", expected=wrong)
