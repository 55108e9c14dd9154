"""The protobuf wire format, as much of it as a `tf.train.Example` needs.

A message is a run of fields: tag (number and wire type), then a varint, 4 or 8 bytes, or a length and
that many bytes. Functions here take a memoryview and positions in it, and copy nothing they need not.

Source: the protobuf encoding rules and `tensorflow/core/example/{example,feature}.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import UInt8

Kind = Literal["bytes", "float", "int64"]
KINDS: dict[int, Kind] = {1: "bytes", 2: "float", 3: "int64"}
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
FIXED_WIDTH = {FIXED64: 8, FIXED32: 4}


class WireError(ValueError):
    """Bytes that are not a protobuf message; `offset` counts from the start of the record."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def packed(data: bytes) -> bytes:
    return field(1, data) if data else b""


def field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | DELIMITED,)) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_varints(values: np.ndarray) -> bytes:
    if not len(values):
        return b""
    if values.max() < 0x80:
        return values.astype(np.uint8).tobytes()
    septets = (values[:, None] >> np.arange(0, 70, 7, dtype=np.uint64)) & np.uint64(0x7F)
    used = np.maximum(10 - np.argmax(septets[:, ::-1] != 0, axis=1), 1)
    used[values == 0] = 1
    column = np.arange(10)
    septets |= np.where(column < used[:, None] - 1, np.uint64(0x80), np.uint64(0))
    return septets.astype(np.uint8)[column < used[:, None]].tobytes()


def read_varint(view: memoryview, position: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while position < end and shift < 70:
        byte = view[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise WireError("a number that does not end", position)


def fields(view: memoryview, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, start, stop) of every field in a message."""
    while position < end:
        tag = view[position]
        if tag < 0x80:
            position += 1
        else:
            tag, position = read_varint(view, position, end)
        wire, start = tag & 7, position
        if wire == DELIMITED:
            if position < end and (length := view[position]) < 0x80:
                start = position + 1
            else:
                length, start = read_varint(view, position, end)
            position = start + length
        elif wire == VARINT:
            _, position = read_varint(view, position, end)
        elif wire in FIXED_WIDTH:
            position += FIXED_WIDTH[wire]
        else:
            raise WireError(f"a field of unknown wire type {wire}", start)
        if position > end or tag < 8:
            raise WireError("a field that runs past its message", start)
        yield tag >> 3, wire, start, position


def delimited(view: memoryview, spans: Sequence[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    return [
        (start, stop)
        for span in spans
        for found, wire, start, stop in fields(view, *span)
        if found == number and wire == DELIMITED
    ]


def feature_spans(view: memoryview) -> dict[str, list[tuple[int, int]]]:
    """Key → where the pieces of its Feature lie. Of a key that comes twice the last entry counts."""
    spans = {}
    for start, stop in delimited(view, delimited(view, [(0, len(view))], 1), 1):
        key, value = "", []
        for number, wire, a, b in fields(view, start, stop):
            if wire != DELIMITED:
                continue
            if number == 1:
                key = _text(view, a, b)
            elif number == 2:
                value.append((a, b))
        spans[key] = value
    return spans


def _text(view: memoryview, start: int, stop: int) -> str:
    try:
        return str(view[start:stop], "utf-8")
    except UnicodeDecodeError:
        raise WireError("a key that is not text", start) from None


def list_spans(view: memoryview, spans: Sequence[tuple[int, int]]) -> tuple[Kind | None, list]:
    """The kind a Feature holds and where the pieces of that list lie; a later kind replaces an earlier."""
    kind: Kind | None = None
    pieces: list[tuple[int, int]] = []
    for span in spans:
        for number, wire, start, stop in fields(view, *span):
            if wire != DELIMITED or number not in KINDS:
                continue
            if KINDS[number] != kind:
                kind, pieces = KINDS[number], []
            pieces.append((start, stop))
    return kind, pieces


def iter_bytes(view: memoryview, span: tuple[int, int]) -> Iterator[memoryview]:
    """The values of one piece of a list of byte strings."""
    for number, wire, start, stop in fields(view, *span):
        if number == 1 and wire == DELIMITED:
            yield view[start:stop]


def decode_bytes(view: memoryview, spans: Sequence[tuple[int, int]]) -> list[memoryview]:
    return [piece for span in spans for piece in iter_bytes(view, span)]


def decode_floats(view: memoryview, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    parts = [_float_piece(view, a, b) for a, b in spans]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float32), *parts])


def _float_piece(view: memoryview, start: int, stop: int) -> np.ndarray:
    if (stop - start) % 5 == 0:
        unpacked = np.frombuffer(view[start:stop], np.uint8).reshape(-1, 5)
        if (unpacked[:, 0] == 0x0D).all():
            return unpacked[:, 1:].copy().view("<f4").reshape(-1)
    parts = []
    for number, wire, a, b in fields(view, start, stop):
        if number == 1 and wire in (DELIMITED, FIXED32):
            if (b - a) % 4:
                raise WireError("packed floats of a length that 4 does not divide", a)
            parts.append(np.frombuffer(view[a:b], "<f4"))
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float32), *parts])


def decode_ints(view: memoryview, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    parts = [
        decode_varints(np.frombuffer(view[a:b], np.uint8), a)
        for span in spans
        for number, wire, a, b in fields(view, *span)
        if number == 1 and wire in (DELIMITED, VARINT)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])


def decode_varints(data: UInt8[np.ndarray, "n"], offset: int) -> np.ndarray:
    last = data < 0x80
    if last.all():
        return data.astype(np.int64)
    if not last[-1]:
        raise WireError("a number that does not end", offset + len(data) - 1)
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise WireError("a number that does not end", offset + int(starts[np.argmax(lengths)]))
    values = np.zeros(len(ends), np.uint64)
    for k in range(int(lengths.max())):
        longer = lengths > k
        septet = (data[starts[longer] + k] & 0x7F).astype(np.uint64)
        values[longer] |= septet << np.uint64(7 * k)
    return values.view(np.int64)
