"""The policy protocol's messages: nothing is lost, nothing is trusted, and openpi's client reads the same."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from openpi_client import msgpack_numpy

from vla_data.robots import wire
from vla_data.robots.wire import MessageError, pack, unpack

DTYPES = st.sampled_from(["u1", "i4", "i8", "f2", "f4", "f8", "?"]).map(np.dtype)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    PLAIN | ARRAYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
MESSAGES = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.tobytes() == other.tobytes()
    return repr(one) == repr(other)  # NaN is NaN


@given(MESSAGES)
def test_messages_come_back(message):
    assert same(unpack(pack(message)), message)


@given(MESSAGES)
def test_openpi_reads_and_writes_the_same(message):
    assert same(msgpack_numpy.unpackb(pack(message)), message)
    assert same(unpack(bytes(msgpack_numpy.packb(message) or b"")), message)


def test_scalars_of_numpy_and_views_are_carried():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1]
    came = unpack(pack({"a": np.float32(0.25), "b": picture}))
    assert (came["a"], type(came["a"])) == (0.25, np.float32)
    np.testing.assert_array_equal(came["b"], picture)
    came["b"][0] = 0  # its own memory


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with suppress(MessageError):
        assert isinstance(unpack(data), dict)


@given(MESSAGES, st.data())
def test_damage_is_read_or_refused(message, data):
    whole = bytearray(pack(message))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(MessageError):
        unpack(bytes(whole))


def array(**changed: object) -> bytes:
    told = {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [2]}
    return bytes(msgpack.packb({"a": told | {k.encode(): v for k, v in changed.items()}}) or b"")


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": [3]},
        {"shape": [-2]},
        {"shape": [2**40, 2**40]},
        {"shape": [2.0]},
        {"shape": "2"},
        {"shape": [1] * 9},
        {"data": "text"},
        {"dtype": "|O"},
        {"dtype": "|O8"},
        {"dtype": "<M8"},
        {"dtype": "<c8"},
        {"dtype": "V4"},
        {"dtype": "<f4,<f4"},
        {"dtype": 4},
        {"dtype": None},
    ],
)
def test_arrays_that_lie_are_refused(changed):
    assert unpack(array())["a"].tolist() == [0, 0]
    with pytest.raises(MessageError):
        unpack(array(**changed))


@pytest.mark.parametrize("message", [[1, 2], 7, "text", {1: 2}, {b"do": 1}])
def test_only_mappings_of_names_are_messages(message):
    with pytest.raises(MessageError):
        unpack(bytes(msgpack.packb(message) or b""))


def test_what_the_wire_does_not_carry_is_refused():
    for value in (np.array([object()]), np.array(["a"]), 1 + 2j, np.array([1j]), object()):
        with pytest.raises(MessageError, match="cannot be sent"):
            pack({"a": value})


def test_long_lists_are_refused_before_they_are_made():
    for bomb in (b"\x81\xa1a\xdd\x03\xff\xff\xff" + b"\xc0" * 100, b"\x81\xa1a\xdf\x03\xff\xff\xff"):
        with pytest.raises(MessageError, match="cannot be read"):
            unpack(bomb)
    with pytest.raises(MessageError, match="cannot be read"):
        unpack(bytes(msgpack.packb({"a": [0] * 5000}) or b""))
    with pytest.raises(MessageError, match="cannot be read"):
        unpack(bytes(msgpack.packb({"a": msgpack.ExtType(1, b"code")}) or b""))


def test_large_messages_are_refused_on_both_sides(monkeypatch):
    monkeypatch.setattr(wire, "MOST_BYTES", 100)
    with pytest.raises(MessageError, match="too large"):
        pack({"a": np.zeros(100, np.uint8)})
    with pytest.raises(MessageError, match="too large"):
        unpack(b"\0" * 101)
