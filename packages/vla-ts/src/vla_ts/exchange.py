"""Series and codes in files and streams: .npy, .npz, .csv and JSON lines.

A line of codes is {"episode", "start", "steps", "codes"}: which steps of which episode a chunk stands for;
`steps` is less than the horizon where the chunk was filled up at the end. A line of motion holds "actions"
instead of codes. Arrays carry no names: [T, dim] is one series, [N, horizon, dim] are chunks.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vla_data.chunks import pad_actions
from vla_data.errors import DataError
from vla_data.protocols import ActionCodec
from vla_data.types import ActionSpec
from vla_ts.checks import PADDING


@dataclass(frozen=True, eq=False)
class Piece:
    """A chunk's worth of one episode: `steps` of it count, from step `start` on.

    `values` are a chunk [horizon, dim] or its codes [tokens].
    """

    episode: str
    start: int
    steps: int
    values: np.ndarray


def cut(series: Iterable[tuple[str, np.ndarray]], horizon: int, stride: int | None = None) -> list[Piece]:
    """Chunks of each series [T, dim], `stride` steps apart (None: side by side), the last ones filled up
    by repeating the last row; arrays [N, horizon, dim] are chunks already."""
    pieces = []
    for name, values in series:
        if values.ndim == 3:
            pieces += [Piece(f"{name}/{i}", 0, len(c), c) for i, c in enumerate(values)]
            continue
        if values.ndim != 2 or not len(values):
            raise DataError(
                "this is neither a series nor chunks",
                where=name,
                expected=f"[T ≥ 1, dim] or [N, {horizon}, dim]",
                got=f"{list(values.shape)}",
            )
        padded = pad_actions(values, horizon)
        pieces += [
            Piece(name, i, min(horizon, len(values) - i), padded[i : i + horizon])
            for i in range(0, len(values), stride or horizon)
        ]
    return pieces


def encode_pieces(codec: ActionCodec, pieces: list[Piece]) -> list[Piece]:
    """The codes of chunks. Raises DataError on another width than the codec's, or NaN."""
    if not pieces:
        return []
    widths = {p.values.shape for p in pieces}
    wrong = next((p for p in pieces if p.values.shape != (codec.action_horizon, codec.spec.dim)), pieces[0])
    if len(widths) > 1 or wrong is not pieces[0]:
        raise DataError(
            "chunks of another shape than the codec's",
            where=f"episode {wrong.episode}, step {wrong.start}",
            expected=f"[{codec.action_horizon}, {codec.spec.dim}]",
            got=f"{list(wrong.values.shape)}",
        )
    codes = codec.encode(np.stack([p.values for p in pieces]).astype(np.float32))
    return [
        Piece(p.episode, p.start, p.steps, row[row != PADDING]) for p, row in zip(pieces, codes, strict=True)
    ]


def decode_pieces(codec: ActionCodec, pieces: list[Piece]) -> list[Piece]:
    """The chunks of codes. Raises DataError on codes out of range or of another length than the codec's."""
    if not pieces:
        return []
    codes = _padded([p.values for p in pieces])
    short = next((p for p in pieces if len(p.values) < codes.shape[1]), None)
    if codec.tokens_per_chunk is not None and short is not None:
        raise DataError(
            "rows of codes differ in length, and the codec's do not",
            where=f"episode {short.episode}, step {short.start}",
            expected=f"{codec.tokens_per_chunk} codes",
            got=f"{len(short.values)}",
        )
    chunks = codec.decode(codes)
    return [Piece(p.episode, p.start, p.steps or len(c), c) for p, c in zip(pieces, chunks, strict=True)]


def join(pieces: Iterable[Piece]) -> dict[str, np.ndarray]:
    """Whole series [T, dim] from decoded chunks that lie side by side, by episode.

    Raises:
        DataError: chunks overlap, or one is missing.
    """
    series: dict[str, list[np.ndarray]] = {}
    length: dict[str, int] = {}
    for p in pieces:
        here = length.get(p.episode, 0)
        if p.start != here:
            raise DataError(
                "chunks do not lie side by side",
                where=f"episode {p.episode}",
                expected=f"a chunk that starts at step {here}",
                got=f"one at step {p.start}",
                next_step="encode without --stride to join afterwards",
            )
        series.setdefault(p.episode, []).append(p.values[: p.steps])
        length[p.episode] = here + p.steps
    return {name: np.concatenate(parts) for name, parts in series.items()}


def lines_of(pieces: Iterable[Piece], key: Literal["codes", "actions"]) -> Iterator[dict[str, Any]]:
    """Pieces as JSON-ready lines."""
    for p in pieces:
        yield {"episode": p.episode, "start": p.start, "steps": p.steps, key: p.values.tolist()}


def pieces_of_series(pieces: Iterable[Piece]) -> list[Piece]:
    """One piece an episode, of all its steps; see `join`."""
    return [Piece(name, 0, len(series), series) for name, series in join(pieces).items()]


def to_bytes(pieces: list[Piece], key: Literal["codes", "actions"], layout: str, spec: ActionSpec) -> bytes:
    """The content of a file: JSON lines, one array (`npy`), or one table (`csv`).

    Raises:
        DataError: several series, or chunks, do not go into one table; series of different length not into
            one array.
    """
    if layout == "jsonl":
        return "".join(json.dumps(line) + "\n" for line in lines_of(pieces, key)).encode()
    values = [p.values for p in pieces]
    if key == "codes":
        return _npy(_padded(values))
    if layout == "npy" and len({v.shape for v in values}) <= 1:
        return _npy(values[0] if len(values) == 1 else np.array(values, np.float32))
    if layout == "csv" and len(values) == 1:
        return _csv_bytes(values[0], tuple(d.name for d in spec.dims))
    raise DataError(
        f"{len(values)} pieces do not go into one .{layout} file",
        expected="one series" if layout == "csv" else "pieces of one length",
        next_step="put chunks together with --join, or write .jsonl, which holds any number",
    )


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """Codes int64 [N, tokens], -1 behind short rows."""
    codes = np.full((len(rows), max((len(r) for r in rows), default=0)), PADDING, np.int64)
    for padded, row in zip(codes, rows, strict=True):
        padded[: len(row)] = row
    return codes


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _csv_bytes(series: np.ndarray, names: tuple[str, ...]) -> bytes:
    stream = io.StringIO()
    np.savetxt(stream, series, fmt="%.9g", delimiter=",", header=",".join(names), comments="")
    return stream.getvalue().encode()
