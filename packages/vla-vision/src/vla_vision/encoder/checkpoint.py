"""Encoders on disk: one directory that proves itself whole.

encoder/
  encoder.safetensors   weights
  config.json           `EncoderRecord`
  manifest.json         sha256 of both
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.fit import load_weights, save_weights
from vla_data.runs import make_manifest, verify
from vla_vision.encoder.config import EncoderConfig, FeatureConfig
from vla_vision.encoder.video_encoder import VideoEncoder
from vla_vision.perception.sight import SightConfig

CONFIG, WEIGHTS, SUBDIRECTORY = "config.json", "encoder.safetensors", "encoder"


@dataclass(frozen=True)
class EncoderRecord:
    """Everything of an encoder's checkpoint that is not weights.

    Args:
        encoder: sizes, switches, and what it is handed of a frame.
        sight: what looked at the frames it was trained on.
        trained_on: names of data sets, for the reader.
    """

    encoder: EncoderConfig
    sight: SightConfig
    trained_on: tuple[str, ...] = ()


def save_encoder(directory: Path, encoder: VideoEncoder, record: EncoderRecord) -> None:
    """Write a checkpoint; it appears under `directory` only when whole."""
    with atomic_directory(directory) as part:
        save_weights(encoder, part / WEIGHTS)
        write_json(part / CONFIG, to_dict(record))
        make_manifest(part, "encoder", to_dict(record)).save(part)


def load_encoder(path: str | Path, device: str = "cpu") -> tuple[VideoEncoder, EncoderRecord]:
    """An encoder, in evaluation mode, and its record.

    Args:
        path: a checkpoint, or the run of `vla vision train-encoder` that made it.

    Raises:
        CheckpointError: a file is missing or does not match its manifest, or the weights are of another
            encoder than the configuration says.
    """
    directory = Path(path)
    directory = directory if (directory / CONFIG).is_file() else directory / SUBDIRECTORY
    try:
        verify(directory)
        record = from_dict(EncoderRecord, read_json(directory / CONFIG), where=str(directory / CONFIG))
    except CheckpointError:
        raise
    except (DataError, ConfigError) as error:
        raise CheckpointError(
            "an encoder's directory is not whole",
            where=str(directory),
            expected=f"{CONFIG}, {WEIGHTS} and manifest.json",
            got=str(error),
            next_step="copy it again from where it was made, or train one: vla vision train-encoder --help",
        ) from error
    encoder = VideoEncoder(record.encoder)
    load_weights(encoder, directory / WEIGHTS)
    return encoder.to(device).eval(), record


def require_same_features(stored: FeatureConfig, wanted: FeatureConfig, where: str) -> None:
    """Raise CheckpointError where stored features are not those that an encoder was built for."""
    if stored == wanted:
        return
    names = [n for n in vars(wanted) if getattr(stored, n) != getattr(wanted, n)]
    raise CheckpointError(
        "stored features are not those of the encoder",
        where=where,
        expected=", ".join(f"{n} {getattr(wanted, n)}" for n in names),
        got=", ".join(f"{n} {getattr(stored, n)}" for n in names),
        next_step="extract them again with the encoder's own configuration",
    )
