"""What the vision commands share: frames of whatever a person names, and the options that name it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vla_cli import options as o

if TYPE_CHECKING:
    from vla_vision.tracking import FrameSource
    from vla_vision.types import Detector, Embedder

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="Video file, picture, folder of pictures, camera (0), or data set."
    ),
]
EpisodeNumber = Annotated[int, typer.Option("--episode", metavar="N", min=0, help="Episode of a data set.")]
CameraName = Annotated[str | None, typer.Option("--camera", metavar="NAME", help="Camera of the episode.")]
DetectionsFile = Annotated[
    Path | None,
    typer.Option("--detections", metavar="FILE", help="MOT file of detections; needs no detector."),
]
SkipCorruptLines = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out, and count, lines of MOT files that are wrong.")
]
FrameLimit = Annotated[
    int | None, typer.Option("--frames", metavar="N", min=1, help="Stop after so many frames.")
]
Prompts = Annotated[
    list[str] | None,
    typer.Option("--prompts", metavar="TEXT,...", help="What to look for, with open-vocabulary weights."),
]
Look = Annotated[
    str,
    typer.Option(
        "--look", metavar="HOW", help="How looks are compared: histogram, none, or weights (.safetensors)."
    ),
]
Focal = Annotated[
    float | None,
    typer.Option("--focal", metavar="PIXELS", min=1.0, help="Focal length; an episode tells its own."),
]


def open_frames(
    source: str, split: str, episode: int, camera: str | None, *, depth: bool = False
) -> FrameSource:
    """Frames of a video file, pictures, a camera (a number, device or stream address), or an episode.

    Args:
        depth: an episode's own depth too.
    """
    from vla_vision.depth.sources import ImageFiles, is_pictures
    from vla_vision.tracking import CameraFeed, VideoFile

    if source.isdecimal() or source.startswith("/dev/") or "://" in source:
        return CameraFeed(source)
    located = Path(o.locate(source))
    if is_pictures(located):
        return ImageFiles(located)
    if not located.is_dir():
        return VideoFile(Path(source))
    return _episode(str(located), split, episode, camera, depth)


def _episode(directory: str, split: str, episode: int, camera: str | None, depth: bool) -> FrameSource:
    from vla_data import open_episodes
    from vla_data.usable import episode_at
    from vla_vision.tracking import EpisodeFrames

    return EpisodeFrames(episode_at(open_episodes(directory, split), episode), camera, depth)


def intrinsics_of(source: FrameSource, focal: float | None) -> list[list[float]] | None:
    """Of the source's camera: those an episode knows, else from a focal length, the axis in the middle."""
    known = getattr(source, "intrinsics", None)
    if known is not None:
        return known.tolist()
    if focal is None or source.size is None:
        return None
    height, width = source.size
    return [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]


def detector_of(weights: str | None, prompts: list[str] | None) -> Detector | None:
    """The detector of these weights, or none."""
    if weights is None:
        return None
    from vla_vision.detection import load_detector

    return load_detector(weights, class_names=o.split_names(prompts) or ())


def embedder_of(look: str) -> Embedder | None:
    """What describes looks: `--look`."""
    from vla_vision.perception.sight import load_embedder

    return load_embedder(look)
