"""What every codec asks of its input, and the errors when it is something else."""

from __future__ import annotations

import numpy as np

from vla_data.errors import DataError
from vla_data.types import ActionSpec

PADDING = -1  # behind the codes of a chunk that has fewer than its neighbours


def check_chunks(chunks: np.ndarray, horizon: int, spec: ActionSpec, codec: str) -> None:
    """Raise DataError unless `chunks` is a finite [N, horizon, action_dim]."""
    if chunks.ndim != 3 or chunks.shape[1:] != (horizon, spec.dim):
        raise DataError(
            "chunks of another shape than the codec's",
            where=codec,
            expected=f"[N, {horizon}, {spec.dim}] ({', '.join(d.name for d in spec.dims)})",
            got=f"{list(chunks.shape)}",
            next_step="cut them with vla_data.chunks.chunk_actions(action, codec.action_horizon)",
        )
    finite = np.isfinite(chunks).all(axis=(1, 2))
    if not finite.all():
        bad = int(np.argmin(finite))
        raise DataError(
            "a chunk holds NaN or infinity",
            where=f"{codec}, chunk {bad} of {len(chunks)}",
            expected="finite actions",
            got=f"{int((~finite).sum())} such chunks",
        )


def check_codes(codes: np.ndarray, widths: int | range | None, vocab_size: int, codec: str) -> None:
    """Raise DataError unless `codes` is an integer [N, one of `widths`] in [0, vocab_size).

    `widths` None stands for a codec whose chunks differ in length: any width, -1 behind short rows.
    """
    allowed = range(widths, widths + 1) if isinstance(widths, int) else widths
    fits = codes.ndim == 2 and (allowed is None or codes.shape[1] in allowed)
    if not fits or not np.issubdtype(codes.dtype, np.integer):
        raise DataError(
            "codes of another shape or type than the codec's",
            where=codec,
            expected=f"integers [N, {_span(allowed)}]",
            got=f"{codes.dtype} {list(codes.shape)}",
        )
    outside = (codes < 0) | (codes >= vocab_size)
    if allowed is None:
        behind = np.logical_and.accumulate((codes == PADDING)[:, ::-1], axis=1)[:, ::-1]
        outside &= ~behind
    if outside.any():
        row, column = (int(i) for i in np.argwhere(outside)[0])
        raise DataError(
            "a code is out of range",
            where=f"{codec}, chunk {row}, position {column}",
            expected=f"0 … {vocab_size - 1}" + (f", or {PADDING} behind the last" if allowed is None else ""),
            got=str(int(codes[row, column])),
        )


def _span(widths: range | None) -> str:
    if widths is None:
        return "any"
    return f"{widths[0]}" if len(widths) == 1 else f"{widths[0]}…{widths[-1]}"
