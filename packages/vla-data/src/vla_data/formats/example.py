"""`tf.train.Example` without TensorFlow or protobuf: parse by slicing, serialise by joining.

An Example is a map from key to one list of bytes, float32 or int64. Notable features:
- parsing notes where each key's value lies and touches nothing else, so two keys of a record with a
  hundred images cost what two keys cost
- packed numbers are one `numpy.frombuffer`; unpacked ones, merged messages and unknown fields are read
  as the protobuf encoding rules say
- serialising is deterministic: keys in order, numbers packed

The bytes themselves are read in `wire`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.errors import DataError
from vla_data.formats.wire import (
    Kind,
    WireError,
    decode_bytes,
    decode_floats,
    decode_ints,
    encode_varints,
    feature_spans,
    field,
    iter_bytes,
    list_spans,
    packed,
)

Buffer = bytes | memoryview
DECODERS: dict[Kind, Any] = {"bytes": decode_bytes, "float": decode_floats, "int64": decode_ints}
Values = Sequence[bytes] | np.ndarray


class Example:
    """The keys of one serialised Example, decoded when asked for.

    Args:
        data: the record's data; values are slices of it, so it stays alive with them.
        where: how errors name the record.

    Raises:
        DataError: the bytes are not an Example.
    """

    def __init__(self, data: Buffer, where: str = "record") -> None:
        self._view = memoryview(data)
        self.where = where
        self._spans = self._guard(feature_spans, self._view)

    def __contains__(self, key: str) -> bool:
        return key in self._spans

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def kind(self, key: str) -> Kind | None:
        """What a key holds; None when it holds nothing at all."""
        return self._lists(key)[0]

    def bytes_list(self, key: str) -> list[memoryview]:
        """The byte strings of a key, as slices of the record."""
        return self._decode(key, "bytes")

    def each_bytes(self, key: str) -> Iterator[memoryview]:
        """The byte strings of a key one by one; those not asked for are not looked at."""
        kind, spans = self._lists(key)
        pieces = (
            view for span in (spans if kind == "bytes" else ()) for view in iter_bytes(self._view, span)
        )
        while (piece := self._guard(next, pieces, None)) is not None:
            yield piece

    def floats(self, key: str) -> Float32[np.ndarray, "n"]:
        """The numbers of a float key."""
        return self._decode(key, "float")

    def ints(self, key: str) -> Int64[np.ndarray, "n"]:
        """The numbers of an integer key."""
        return self._decode(key, "int64")

    def values(self, key: str) -> list[memoryview] | np.ndarray:
        """Whatever a key holds; an empty list when it holds nothing."""
        kind, spans = self._lists(key)
        return [] if kind is None else self._guard(DECODERS[kind], self._view, spans)

    def _lists(self, key: str) -> tuple[Kind | None, list[tuple[int, int]]]:
        spans = self._spans.get(key)
        if spans is None:
            raise DataError("a record lacks a key", where=self.where, expected=repr(key), got=_some(self))
        return self._guard(list_spans, self._view, spans)

    def _decode(self, key: str, kind: Kind) -> Any:
        found, spans = self._lists(key)
        if found is not None and found != kind:
            raise DataError(
                "a key holds values of another kind", where=f"{self.where}, key {key!r}",
                expected=kind, got=found,
            )  # fmt: skip
        return self._guard(DECODERS[kind], self._view, spans)

    def _guard(self, work: Any, *args: Any) -> Any:
        try:
            return work(*args)
        except WireError as error:
            raise DataError(
                "a record is not a tf.train.Example",
                where=f"{self.where}, byte {error.offset} of its data",
                expected="a serialised tf.train.Example",
                got=str(error),
                next_step="fetch or generate this file again",
            ) from None


def serialise(features: Mapping[str, Values]) -> bytes:
    """A serialised Example.

    Args:
        features: key → byte strings, or a flat array. Floats become float32, integers and booleans int64
            (unsigned 64-bit ones keep their bits).
    """
    entries = []
    for key in sorted(features):
        feature = _encode_feature(features[key])
        entries.append(field(1, field(1, key.encode()) + field(2, feature)))
    return field(1, b"".join(entries))


def _encode_feature(values: Values) -> bytes:
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        flat = values.reshape(-1)
        if values.dtype.kind == "f":
            return field(2, packed(flat.astype("<f4").tobytes()))
        return field(3, packed(encode_varints(flat.astype(np.int64).view(np.uint64))))
    return field(1, b"".join(field(1, bytes(v)) for v in values))


def _some(keys: Sequence[str] | Example, limit: int = 8) -> str:
    names = sorted(keys)
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
