"""Columns between numpy [T, *shape] and Arrow, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vla_data.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = {"bool"} | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
NUMBERS |= {"float16", "float32", "float64"}
MAX_AXES = 5  # the package has no feature of more


def to_arrow(values: np.ndarray) -> pa.Array:
    """A column of T values: numbers, fixed lists of them, or lists in lists."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim == 1:
        return flat
    if values.ndim == 2 and values.shape[1] > 1:
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    if values.ndim == 2:
        return flat  # the package reads a list of one as a number
    for axis in range(values.ndim - 1, 0, -1):
        rows = int(np.prod(values.shape[:axis]))
        offsets = np.arange(rows + 1, dtype=np.int32) * values.shape[axis]
        flat = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return flat


def to_numpy(column: pa.ChunkedArray, dtype: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    """The values [T, *shape] of a column, a copy.

    Raises:
        DataError: it holds something else than numbers, is null somewhere, or does not fill the shape.
    """
    import pyarrow as pa

    steps = len(column)
    try:
        parts = [_flatten(chunk) for chunk in column.chunks]
        flat = np.concatenate(parts) if parts else np.empty(0, dtype)
        return flat.astype(dtype, copy=True).reshape(steps, *shape)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(
            "a column's values do not fill its shape",
            where=where,
            expected=f"{dtype} {list(shape)} in each of {steps} rows",
            got=f"{column.type}: {error}",
        ) from error


def _flatten(chunk: Any) -> np.ndarray:
    import pyarrow as pa

    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    while isinstance(chunk, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        if chunk.null_count:
            raise ValueError(f"{chunk.null_count} rows are null")
        chunk = chunk.flatten()
    if chunk.null_count:
        raise ValueError(f"{chunk.null_count} values are null")
    return chunk.to_numpy(zero_copy_only=False)


def require_column(dtype: str, shape: tuple[int, ...], where: str) -> None:
    """Raise DataError for a column that Parquet and the lerobot package could not hold."""
    if dtype in NUMBERS and len(shape) <= MAX_AXES:
        return
    raise DataError(
        "a column cannot be written to a LeRobot data set",
        where=where,
        expected=f"numbers or booleans of at most {MAX_AXES} axes a step",
        got=f"{dtype} {list(shape)}",
        next_step="leave the series out, or write RLDS: --to rlds",
    )
