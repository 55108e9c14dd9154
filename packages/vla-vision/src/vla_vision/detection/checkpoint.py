"""Detectors on disk: one directory that proves itself whole, whatever engine runs it.

detector/
  model.safetensors | model.onnx | model.xml + model.bin   the network
  config.json                                               `DetectorRecord`
  manifest.json                                             sha256 of every file above
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.runs import make_manifest, verify

Engine = Literal["yolo", "onnx", "openvino"]

CONFIG = "config.json"
SUBDIRECTORY = "detector"  # of a training run
FILES: dict[Engine, str] = {"yolo": "model.safetensors", "onnx": "model.onnx", "openvino": "model.xml"}


@dataclass(frozen=True)
class DetectorRecord:
    """Everything of a detector's checkpoint that is not weights.

    Args:
        engine: what runs it; names the file of the network.
        architecture: such as "yolo26n".
        class_names: one a class.
        image_size: longer side in pixels that it was trained for.
        suppress: whether overlapping boxes are suppressed after the network; else its one-to-one head is
            read.
        masks: mask prototypes, 0 for boxes alone.
        trained_on: data sets seen in training, for the reader.
    """

    engine: Engine
    architecture: str
    class_names: tuple[str, ...]
    image_size: int
    suppress: bool = False
    masks: int = 0
    trained_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.class_names or self.image_size < 32 or self.image_size % 32:
            raise ConfigError(
                "a detector's record is out of range",
                where=CONFIG,
                expected="at least one class, image_size a multiple of 32",
                got=f"{len(self.class_names)} classes, {self.image_size} px",
            )


def save_detector(directory: Path, record: DetectorRecord, write: Callable[[Path], None]) -> None:
    """Write a checkpoint; it appears under `directory` only when whole. `write` makes the network's file."""
    with atomic_directory(directory) as part:
        write(part / FILES[record.engine])
        write_json(part / CONFIG, to_dict(record))
        make_manifest(part, "detector", to_dict(record)).save(part)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint itself, where `path` is the run that made it."""
    inner = path / SUBDIRECTORY
    return inner if not (path / CONFIG).is_file() and (inner / CONFIG).is_file() else path


def read_detector(directory: Path) -> DetectorRecord:
    """The record of a checkpoint, once all its files match their manifest.

    Raises:
        CheckpointError: a file is missing, changed or of another layout.
    """
    verify(directory)
    try:
        return from_dict(DetectorRecord, read_json(directory / CONFIG), where=CONFIG)
    except ConfigError as error:
        raise CheckpointError(
            "a checkpoint of another layout", where=str(directory), got=str(error)
        ) from error
