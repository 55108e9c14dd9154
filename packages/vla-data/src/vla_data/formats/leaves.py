"""Values of a feature tree's leaves, from a record and into one."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np

from vla_data.errors import DataError
from vla_data.formats.example import Example, Values
from vla_data.formats.features import Leaf

LEVEL = 4  # of 9; on depth 3.6 times as fast as 6, and 8% larger
MAX_ELEMENT = 1 << 28  # bytes of one compressed element whose shape is free


def decode_leaf(example: Example, key: str, leaf: Leaf) -> Any:
    """The values of a leaf of rank 0 or 1.

    Returns:
        numbers: an array [T, *shape] (without T at rank 0). Text: a list of str (one str at rank 0).
        Images: a list of encoded frames, as slices of the record.

    Raises:
        DataError: values are missing, of another kind or do not fill the shape.
    """
    if leaf.kind == "unknown" or leaf.rank > 1:
        raise DataError(
            "a feature of this kind cannot be decoded",
            where=f"{example.where}, key {key!r}",
            expected="a tensor, an image or a text inside at most one sequence",
            got=leaf.description or f"{leaf.rank} nested sequences",
        )
    if leaf.kind == "tensor" and leaf.encoding == "none":
        return _numbers(example, key, leaf)
    pieces = example.values(key)
    if isinstance(pieces, np.ndarray):
        raise _unfit(example, key, leaf, len(pieces))
    if leaf.kind == "tensor":
        return _encoded_numbers(example, key, leaf, pieces)
    values: list[Any] = pieces
    if leaf.kind == "text":
        values = [bytes(p).decode("utf-8", "replace") for p in pieces]
    if leaf.rank or leaf.shape:
        return values
    if len(values) != 1:
        raise _unfit(example, key, leaf, len(values))
    return values[0]


def first_text(example: Example, key: str) -> str:
    """The first of a key's texts, without looking at the others; empty when there is none."""
    return bytes(next(example.each_bytes(key), b"")).decode("utf-8", "replace")


def _numbers(example: Example, key: str, leaf: Leaf) -> np.ndarray:
    flat = example.values(key)
    if isinstance(flat, list):
        if flat:
            raise _unfit(example, key, leaf, len(flat))
        flat = np.empty(0, leaf.dtype)
    return _reshape(flat.astype(leaf.dtype, copy=True), example, key, leaf)


def _encoded_numbers(example: Example, key: str, leaf: Leaf, pieces: list[memoryview]) -> np.ndarray:
    try:
        raw = b"".join(_inflated(p, leaf) if leaf.encoding == "zlib" else p for p in pieces)
        flat = np.frombuffer(raw, leaf.dtype).copy()
    except (zlib.error, ValueError) as error:
        raise DataError(
            "an encoded tensor cannot be decoded",
            where=f"{example.where}, key {key!r}",
            expected=f"{leaf.encoding} of {leaf.dtype} {leaf.shape}",
            got=str(error),
        ) from error
    return _reshape(flat, example, key, leaf, len(pieces))


def _inflated(piece: memoryview, leaf: Leaf) -> bytes:
    """A compressed element; never more than its shape can hold, whatever it would grow to."""
    free = None in leaf.shape
    limit = MAX_ELEMENT if free else math.prod(d or 0 for d in leaf.shape) * np.dtype(leaf.dtype).itemsize
    stream = zlib.decompressobj()
    data = stream.decompress(piece, limit + 1)
    if len(data) > limit:
        raise ValueError(f"it grows to more than {limit:,} bytes")
    if not stream.eof:
        raise ValueError("it ends early")
    return data


def _reshape(flat: np.ndarray, example: Example, key: str, leaf: Leaf, steps: int = -1) -> np.ndarray:
    shape = (*(steps,) * leaf.rank, *(-1 if d is None else d for d in leaf.shape))
    try:
        return flat.reshape(shape)
    except ValueError:
        raise _unfit(example, key, leaf, len(flat)) from None


def _unfit(example: Example, key: str, leaf: Leaf, count: int) -> DataError:
    return DataError(
        "a key's values do not fill its shape",
        where=f"{example.where}, key {key!r}",
        expected=f"{leaf.dtype} {list(leaf.shape)}" + (" per step" if leaf.rank else ""),
        got=f"{count} values",
    )


def encode_leaf(values: Any, leaf: Leaf) -> Values:
    """What a record holds for a leaf; the inverse of `decode_leaf`."""
    if leaf.kind == "tensor" and leaf.encoding == "none":
        return np.asarray(values, leaf.dtype)
    many = values if leaf.rank else [values]
    if leaf.kind == "tensor":
        raw = [np.ascontiguousarray(v, leaf.dtype).tobytes() for v in many]
        return [zlib.compress(r, LEVEL) for r in raw] if leaf.encoding == "zlib" else raw
    return [v.encode() if isinstance(v, str) else bytes(v) for v in many]
