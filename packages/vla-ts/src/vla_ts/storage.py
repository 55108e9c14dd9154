"""Codec directories: `config.json`, weights if there are any, and a manifest that proves both whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vla_data.errors import CheckpointError, DataError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.runs import make_manifest, verify

CONFIG = "config.json"
WEIGHTS = "codec.safetensors"
SUBDIRECTORY = "codec"  # where a run that fits a codec keeps it


def codec_directory(directory: Path) -> Path:
    """Where the codec lies: in `directory`, or in the run of a fit that `directory` is.

    Raises:
        CheckpointError: in neither.
    """
    inner = directory if (directory / CONFIG).is_file() else directory / SUBDIRECTORY
    if not (inner / CONFIG).is_file():
        raise CheckpointError(
            "there is no codec here",
            where=str(directory),
            expected=f"{CONFIG}, or a directory {SUBDIRECTORY}/ that holds one",
            next_step="fit one with: vla ts fit-vqvae --data URI --out DIR",
        )
    return inner


@contextmanager
def writing_codec(directory: Path, kind: str, config: Mapping[str, Any]) -> Iterator[Path]:
    """A place to put a codec's weights; it becomes `directory` whole, with config and manifest."""
    content = {"codec": kind, **config}
    with atomic_directory(directory) as part:
        yield part
        write_json(part / CONFIG, content)
        make_manifest(part, "codec", content).save(part)


def read_config(directory: Path, kind: str) -> dict[str, Any]:
    """The config of a codec of this kind, once its directory was found to match its manifest.

    Raises:
        CheckpointError: a file is missing or changed, or the codec is of another kind.
    """
    try:
        verify(directory)
        content = read_json(directory / CONFIG)
    except CheckpointError:
        raise
    except DataError as error:
        raise CheckpointError(
            "a codec's directory is not whole",
            where=str(directory),
            expected=f"{CONFIG} and manifest.json",
            got=str(error),
            next_step="copy it again from where it was made, or fit it again",
        ) from error
    found = content.pop("codec", None)
    if found != kind:
        raise CheckpointError("a codec of another kind", where=str(directory), expected=kind, got=str(found))
    return content
