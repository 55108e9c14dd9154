"""One message of the policy protocol: a mapping of plain values and NumPy arrays, as msgpack.

Arrays are told as openpi's client and server do (`openpi_client.msgpack_numpy`, after msgpack-numpy):
`{b"__ndarray__": True, b"data": bytes, b"dtype": str, b"shape": [int, ...]}`. What is read is never trusted:
an array's type is one of a few, and its shape has to account for its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from vla_data.errors import VlaError

MOST_BYTES = 64 * 2**20  # of one message: eight windows of two 512² pictures with depth are 24 MB
MOST_AXES = 8
MOST_PARTS = 4096  # of one list or mapping: an array of numbers is one part
KINDS = "buif"  # of dtypes: bool, unsigned, signed, floating
ARRAY, SCALAR = b"__ndarray__", b"__npgeneric__"


class MessageError(VlaError):
    """A message that is damaged, too large, or not what the protocol says."""


def pack(message: Mapping[str, Any]) -> bytes:
    """The bytes of a message.

    Raises:
        MessageError: it holds something that the wire does not carry, or is too large.
    """
    try:
        data = bytes(msgpack.packb(dict(message), default=_told) or b"")
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(
            "a message cannot be sent", expected="plain values and arrays", got=str(error)
        ) from error
    if len(data) > MOST_BYTES:
        raise MessageError(
            "a message is too large", expected=f"at most {MOST_BYTES} bytes", got=str(len(data))
        )
    return data


def unpack(data: bytes) -> dict[str, Any]:
    """The message of some bytes; arrays are its own, and may be written to.

    Raises:
        MessageError: they are no message.
    """
    if len(data) > MOST_BYTES:
        raise MessageError(
            "a message is too large", expected=f"at most {MOST_BYTES} bytes", got=str(len(data))
        )
    try:
        message = msgpack.unpackb(
            data, object_hook=_read, max_array_len=MOST_PARTS, max_map_len=MOST_PARTS, max_ext_len=0
        )
    except MessageError:
        raise
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise MessageError("a message cannot be read", expected="msgpack", got=str(error)) from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise MessageError("a message is not a mapping of names", got=type(message).__name__)
    return message


def _told(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in KINDS:
        raise TypeError(f"an array of {value.dtype}")
    if isinstance(value, np.ndarray):
        return {
            ARRAY: True,
            b"data": np.ascontiguousarray(value).tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic):
        return {SCALAR: True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"a {type(value).__name__}")


def _read(value: dict) -> Any:
    if ARRAY in value:
        return _array(value)
    if SCALAR in value:
        return _dtype(value).type(value.get(b"data"))
    return value


def _array(value: dict) -> np.ndarray:
    dtype, data, shape = _dtype(value), value.get(b"data"), value.get(b"shape")
    whole = (
        isinstance(shape, list) and len(shape) <= MOST_AXES and all(type(n) is int and n >= 0 for n in shape)
    )
    if not isinstance(data, bytes) or not whole:
        raise MessageError("an array cannot be read", expected="bytes and a shape", got=f"shape {shape!r}")
    assert isinstance(shape, list)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise MessageError(
            "the shape of an array does not account for its bytes",
            expected=f"{shape} of {dtype}: {math.prod(shape) * dtype.itemsize} bytes",
            got=f"{len(data)} bytes",
        )
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _dtype(value: dict) -> np.dtype:
    told = value.get(b"dtype")
    try:
        dtype = np.dtype(told) if isinstance(told, str) and len(told) <= 4 else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in KINDS:
        raise MessageError(
            "an array of an unknown type", expected="numbers, as '<f4' or '|u1'", got=repr(told)[:40]
        )
    return dtype
