"""The MOTChallenge layout: a directory a sequence, with frames, ground truth and detections.

    <sequence>/img1/000001.jpg …      or <sequence>/<sequence>.mp4
    <sequence>/gt/gt.txt              frame, id, left, top, width, height, 1, class, -1
    <sequence>/det/det.txt            frame, -1, left, top, width, height, score, -1, -1, -1
    <sequence>/seqinfo.ini

Frames and classes count from 1; visibility is not known (-1). Format: Dendorfer et al. 2021,
arXiv:2010.07548.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from vla_vision.labels.pictures import write_picture
from vla_vision.labels.truth import FrameLabels
from vla_vision.tracking.sinks import FrameWriter, OpenVideo
from vla_vision.types import Frame


class MotSequence:
    """Writes one sequence into a new directory; a context manager, whole only when left without an error.

    Args:
        frame_rate: frames a second.
        encoding: ending of the images, "jpg" or "png".
        open_video: makes a video instead of images.
    """

    def __init__(
        self,
        directory: Path,
        frame_rate: float,
        encoding: str,
        quality: int,
        open_video: OpenVideo | None = None,
    ) -> None:
        self._directory, self._rate = directory, frame_rate
        self._encoding, self._quality, self._open = encoding, quality, open_video
        self._truth: list[str] = []
        self._found: list[str] = []
        self._video: FrameWriter | None = None
        self._frames, self._size = 0, (0, 0)
        for name in ("gt", "det", *(() if open_video else ("img1",))):
            (directory / name).mkdir(parents=True)

    def add(self, image: Frame, labels: FrameLabels) -> None:
        """The next frame."""
        self._frames += 1
        self._size = (image.shape[0], image.shape[1])
        if self._open is None:
            path = self._directory / "img1" / f"{self._frames:06d}.{self._encoding}"
            write_picture(path, image, self._quality)
        else:
            if self._video is None:
                path = self._directory / f"{self._directory.name}.mp4"
                self._video = self._open(path, self._size, self._rate)
            self._video.add(image)
        objects = labels.objects
        for i, ident in enumerate(labels.ids.tolist()):
            x1, y1, x2, y2 = objects.boxes[i].tolist()
            box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            self._truth.append(f"{self._frames},{ident},{box},1,{objects.classes[i] + 1},-1\n")
            self._found.append(f"{self._frames},-1,{box},{objects.scores[i]:.4f},-1,-1,-1\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if self._video is not None:
                self._video.abandon()
            return
        if self._video is not None:
            self._video.close()
        (self._directory / "gt" / "gt.txt").write_text("".join(self._truth))
        (self._directory / "det" / "det.txt").write_text("".join(self._found))
        (self._directory / "seqinfo.ini").write_text(self._info())

    def _info(self) -> str:
        ending = "" if self._open else f".{self._encoding}"
        return (
            f"[Sequence]\nname={self._directory.name}\nimDir={'' if self._open else 'img1'}\n"
            f"frameRate={self._rate:g}\nseqLength={self._frames}\nimWidth={self._size[1]}\n"
            f"imHeight={self._size[0]}\nimExt={ending}\n"
        )
