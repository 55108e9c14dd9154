"""Where frames come from: a video file, a camera, an episode, or a MOT file of detections.

A source is iterated once; frames are read one at a time and never kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.objects import camera_poses
from vla_data.types import Episode
from vla_vision.tracking.mot_file import MotRows, SequenceInfo
from vla_vision.types import Detections, Frame

DEFAULT_RATE = 30.0  # where nobody says


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """`index` from 1, `time` in seconds, the picture, and detections where the source has them.

    `pose` is 4×4 camera → world where it is known, `depth` that of a sensor or simulator, metres.
    """

    index: int
    time: float
    image: Frame | None = None
    detections: Detections | None = None
    pose: np.ndarray | None = None
    depth: np.ndarray | None = None


@runtime_checkable
class FrameSource(Protocol):
    """Frames in order. `frames` is None while unknown; `live` ones end when nobody watches any more."""

    @property
    def name(self) -> str: ...
    @property
    def frame_rate(self) -> float: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def size(self) -> tuple[int, int] | None: ...
    @property
    def live(self) -> bool: ...
    def __iter__(self) -> Iterator[SourceFrame]: ...


class VideoFile:
    """A file that ffmpeg can read, by `vla-vision[view]`.

    Raises:
        DataError: it cannot be opened, or holds no frame.
        MissingDependencyError: PyAV is not installed.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        with self._open() as container:
            stream = container.streams.video[0]
            self.frame_rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
            self.frames = stream.frames or None
            self.size = (stream.height, stream.width)

    def __iter__(self) -> Iterator[SourceFrame]:
        from av.error import FFmpegError

        index = 0
        with self._open() as container:
            try:
                for index, frame in enumerate(container.decode(video=0), 1):
                    yield SourceFrame(index, (index - 1) / self.frame_rate, frame.to_ndarray(format="rgb24"))
            except FFmpegError as error:
                raise self._bad(f"frame {index + 1}: {error}") from error
        if not index:
            raise self._bad("no frame in it")

    def _open(self) -> Any:
        try:
            import av
            from av.error import FFmpegError
        except ImportError as error:
            raise MissingDependencyError(
                "reading a video needs PyAV",
                where=str(self.path),
                next_step="install vla-vision[view], or give --detections alone",
            ) from error
        try:
            container = av.open(str(self.path))
        except (OSError, FFmpegError) as error:
            raise self._bad(str(error)) from error
        if not container.streams.video:
            container.close()
            raise self._bad("no video in it")
        return container

    def _bad(self, got: str) -> DataError:
        return DataError(
            "a video cannot be read",
            where=str(self.path),
            expected="a file with at least one frame of video that ffmpeg can decode",
            got=got,
            next_step="look whether it plays; fetch or export it again",
        )


class CameraFeed:
    """A camera by its number, device path or stream address, by OpenCV; ends with the stream.

    Raises:
        DataError: it cannot be opened or gives no frame.
    """

    live, frames = True, None

    def __init__(self, device: str) -> None:
        import cv2

        self.name = f"camera {device}"
        self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise self._bad("it cannot be opened")
        self.frame_rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or DEFAULT_RATE
        size = self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT), self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        self.size = (int(size[0]), int(size[1]))

    def __iter__(self) -> Iterator[SourceFrame]:
        import cv2

        index = 0
        try:
            while True:
                good, frame = self._capture.read()
                if not good:
                    break
                index += 1
                image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                yield SourceFrame(index, (index - 1) / self.frame_rate, np.asarray(image, np.uint8))
        finally:
            self._capture.release()
        if not index:
            raise self._bad("no frame came")

    def _bad(self, got: str) -> DataError:
        return DataError(
            "a camera gives no picture",
            where=self.name,
            expected="a number (0), a device path or the address of a stream that OpenCV can read",
            got=got,
            next_step="look whether it is connected and no other program uses it",
        )


class EpisodeFrames:
    """One camera of an episode, with its pose where the episode knows it.

    Args:
        depth: give the episode's own depth too.

    Raises:
        ConfigError: the episode has no such camera, or several and none was named.
    """

    live = False

    def __init__(self, episode: Episode, camera: str | None = None, depth: bool = False) -> None:
        names = sorted(episode.images)
        if camera is None and len(names) == 1:
            camera = names[0]
        if camera not in names:
            raise ConfigError(
                "an episode is not seen by that camera" if camera else "it is not said which camera",
                where=f"episode {episode.id}",
                expected="one of " + ", ".join(names) if names else "an episode with images",
                got=camera or "none",
                next_step="name it: --camera " + names[0] if names else None,
            )
        if depth and camera not in episode.depth:
            raise ConfigError(
                "an episode has no depth of that camera",
                where=f"episode {episode.id}, camera {camera}",
                expected="one of " + ", ".join(sorted(episode.depth)) if episode.depth else "depth",
                got="none",
                next_step="name the weights of a depth network, or leave depth out",
            )
        self.episode, self.camera, self._depth = episode, camera, depth
        self.name = f"{episode.id} {camera}"
        self.frames: int | None = len(episode)
        self.frame_rate = episode.robot.action.control_hz
        self.size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[SourceFrame]:
        episode, camera = self.episode, self.camera
        poses = camera_poses(episode, camera) if self._placed else None
        for i in range(len(episode)):
            depth = np.asarray(episode.depth[camera][i], np.float32) if self._depth else None
            pose = None if poses is None else poses[i]
            yield SourceFrame(i + 1, float(episode.time[i]), episode.images[camera][i], None, pose, depth)

    @property
    def intrinsics(self) -> np.ndarray | None:
        """Of the camera, 3×3 in pixels, as `Camera` has them; None where the episode does not know."""
        known = self.episode.cameras.get(self.camera)
        return None if known is None or known.intrinsics is None else np.array(known.intrinsics)

    @property
    def _placed(self) -> bool:
        """Whether the episode knows where the camera is."""
        known = self.episode.cameras.get(self.camera)
        return f"pose/{self.camera}" in self.episode.series or (known is not None and known.pose is not None)


class MotFrames:
    """Detections of a MOT file, frame by frame, beside the pictures of a video where one is given.

    Raises:
        DataError: the file holds no detection.
    """

    live = False

    def __init__(
        self,
        rows: MotRows,
        info: SequenceInfo | None = None,
        video: FrameSource | None = None,
        name: str = "",
    ) -> None:
        info = info or SequenceInfo()
        if not len(rows.rows):
            raise DataError(
                "a MOT file holds no detection", where=name, expected="at least one line", got="none"
            )
        self.rows, self.video, self.name = rows, video, info.name or name
        known = video.frames if video is not None else None
        self.frames: int | None = known or max(info.frames, rows.frames)
        self.frame_rate = info.frame_rate or (video.frame_rate if video is not None else DEFAULT_RATE)
        self.size = video.size if video is not None else ((info.height, info.width) if info.width else None)

    def __iter__(self) -> Iterator[SourceFrame]:
        if self.video is not None:
            for frame in self.video:
                yield SourceFrame(frame.index, frame.time, frame.image, self.rows.detections(frame.index))
            return
        for index in range(1, (self.frames or 0) + 1):
            yield SourceFrame(index, (index - 1) / self.frame_rate, None, self.rows.detections(index))
