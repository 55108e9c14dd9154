"""Series and codes from the content of files and streams, told apart by their first bytes."""

from __future__ import annotations

import io
import json
from typing import Any
from zipfile import BadZipFile

import numpy as np

from vla_data.errors import DataError
from vla_ts.checks import PADDING
from vla_ts.exchange import Piece

NPY, ZIP = b"\x93NUMPY", b"PK"


def parse(data: bytes, where: str, names: tuple[str, ...] = ()) -> list[tuple[str, np.ndarray]]:
    """Named float32 series or chunks from the content of a file or stream; its first bytes tell the kind.

    Args:
        names: of the dimensions; a head of a CSV file must give these.

    Raises:
        DataError: the content is none of the four kinds, or damaged.
    """
    try:
        if data.startswith(NPY):
            return [("0", _numbers(np.load(io.BytesIO(data), allow_pickle=False)))]
        if data.startswith(ZIP):
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                return [(name, _numbers(file[name])) for name in file.files]
        if data.lstrip()[:1] in (b"{", b"["):
            lines = _json_lines(data)
            return [(str(v.get("episode", i)), _numbers(np.array(v["actions"]))) for i, v in enumerate(lines)]
        return [("0", _csv(data.decode(), names))]
    except (ValueError, KeyError, TypeError, BadZipFile, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            "this holds no series of numbers",
            where=where,
            expected='.npy, .npz, .csv, or JSON lines with "actions"',
            got=f"{type(error).__name__}: {error}",
        ) from error


def parse_codes(data: bytes, where: str) -> list[Piece]:
    """Codes from a .npy file [N, tokens], -1 behind short rows, or from JSON lines.

    Raises:
        DataError: the content is neither, or damaged.
    """
    try:
        if data.startswith(NPY):
            array = np.load(io.BytesIO(data), allow_pickle=False)
            if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"{array.dtype} {list(array.shape)} instead of integers [N, tokens]")
            return [Piece(str(i), 0, 0, row[row != PADDING]) for i, row in enumerate(array)]
        return [
            Piece(
                str(v.get("episode", i)), int(v.get("start", 0)), int(v.get("steps", 0)), _whole(v["codes"])
            )
            for i, v in enumerate(_json_lines(data))
        ]
    except (ValueError, KeyError, TypeError, EOFError, UnicodeDecodeError) as error:
        raise DataError(
            "this holds no codes",
            where=where,
            expected='.npy with integers [N, tokens], or JSON lines with "codes"',
            got=f"{type(error).__name__}: {error}",
        ) from error


def _json_lines(data: bytes) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in data.decode().splitlines() if line.strip()]
    return [v if isinstance(v, dict) else {"actions": v, "codes": v} for v in lines]


def _numbers(array: np.ndarray) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.number):
        raise ValueError(f"{array.dtype} instead of numbers")
    return array.astype(np.float32)


def _whole(values: Any) -> np.ndarray:
    array = np.array(values)
    if array.ndim != 1 or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{array.dtype} {list(array.shape)} instead of a row of integers")
    return array.astype(np.int64)


def _csv(text: str, names: tuple[str, ...]) -> np.ndarray:
    head, _, rest = text.partition("\n")
    cells = tuple(c.strip() for c in head.split(","))
    if not all(_is_number(c) for c in cells):
        if names and cells != names:
            raise ValueError(f"columns {', '.join(cells)} instead of {', '.join(names)}")
        text = rest
    return np.loadtxt(io.StringIO(text), np.float32, delimiter=",", ndmin=2)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
