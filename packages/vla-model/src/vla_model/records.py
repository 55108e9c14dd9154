"""What a command leaves for others to open: a directory with a record of what it is, and a manifest over all
its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import read_json, write_json
from vla_data.runs import make_manifest, verify

Record = TypeVar("Record")


def finish(directory: Path, stage: str, name: str, record: Any) -> None:
    """Write the record as the file `name`, and the manifest over all files that are there."""
    write_json(directory / name, to_dict(record))
    make_manifest(directory, stage, record).save(directory)


def opened(
    directory: Path, subdirectory: str, name: str, kind: type[Record], what: str, made_by: str
) -> tuple[Path, Record]:
    """The directory of such a thing (of a run its `subdirectory`) and its record, once all files match.

    Args:
        name: of the record's file; `kind`: its dataclass.
        what: it is, in words; `made_by`: the command that makes one.

    Raises:
        CheckpointError: there is none, it is damaged, or of another layout.
    """
    inner = directory / subdirectory
    directory = inner if (inner / name).is_file() else directory
    if not (directory / name).is_file():
        raise CheckpointError(
            f"there is no {what}", where=str(directory), expected=name, next_step=f"make one: {made_by}"
        )
    verify(directory)
    try:
        return directory, from_dict(kind, read_json(directory / name), where=name)
    except ConfigError as error:
        raise CheckpointError(
            f"the {what} is of another layout", where=str(directory / name), got=str(error)
        ) from error
