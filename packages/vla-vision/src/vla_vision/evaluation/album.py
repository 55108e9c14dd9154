"""What a page shows of a measurement: frames spread over all videos, and the first video as a clip."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vla_data.files import atomic_path
from vla_vision.labels.truth import FrameLabels
from vla_vision.perception.percept import Percept
from vla_vision.tracking.sinks import AnnotatedVideo, OpenVideo


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame as it was perceived, and its truth."""

    name: str
    percept: Percept
    labels: FrameLabels


class Film:
    """A clip of what is perceived, whole or not there: none without a path, a writer or pictures."""

    def __init__(self, path: Path | None, frame_rate: float, open_video: OpenVideo | None) -> None:
        self._path, self._rate, self._open = path, frame_rate, open_video
        self._sink: AnnotatedVideo | None = None
        self._stack = ExitStack()

    def add(self, percept: Percept) -> None:
        """Another frame."""
        if self._path is None or self._open is None or percept.image is None:
            return
        if self._sink is None:
            part = self._stack.enter_context(atomic_path(self._path))
            self._sink = AnnotatedVideo(part, self._rate, self._open)
        self._sink.add(percept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        writer = self._sink.writer if self._sink is not None else None
        if writer is not None:
            writer.close() if error is None else writer.abandon()
        self._stack.__exit__(kind, error, trace)
