"""tf.train.Example: ours and protobuf's agree on every message, in both directions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2 as example_pb2
from tensorflow_datasets.proto import tf_feature_pb2 as feature_pb2

from vla_data.errors import DataError
from vla_data.formats.example import Example, serialise
from vla_data.formats.wire import decode_varints, encode_varints, field, varint

tf_example_pb2: Any = example_pb2  # made when imported, which a type checker cannot follow
tf_feature_pb2: Any = feature_pb2
INTS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)
FLOATS = st.lists(st.floats(width=32), max_size=20)
VALUES = st.one_of(
    st.lists(st.binary(max_size=200), max_size=5),
    FLOATS.map(lambda v: np.array(v, np.float32)),
    INTS.map(lambda v: np.array(v, np.int64)),
)
FEATURES = st.dictionaries(st.text(max_size=12), VALUES, max_size=6)


def as_proto(features: dict) -> Any:
    """The same message built by protobuf."""
    out = {}
    for key, values in features.items():
        if isinstance(values, list):
            out[key] = tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=values))
        elif values.dtype.kind == "f":
            out[key] = tf_feature_pb2.Feature(float_list=tf_feature_pb2.FloatList(value=values))
        else:
            out[key] = tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=values))
    return tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=out))


def assert_equal(example: Example, features: dict) -> None:
    assert set(example) == set(features)
    for key, expected in features.items():
        got = example.values(key)
        if isinstance(expected, list):
            assert [bytes(v) for v in got] == expected
        else:
            np.testing.assert_array_equal(got, expected, strict=True)


@given(FEATURES)
def test_what_protobuf_writes_we_read(features: dict):
    assert_equal(Example(as_proto(features).SerializeToString()), features)


@given(FEATURES)
def test_what_we_write_protobuf_and_we_read(features: dict):
    data = serialise(features)
    assert_equal(Example(data), features)
    assert tf_example_pb2.Example.FromString(data) == as_proto(features)
    assert serialise(dict(reversed(features.items()))) == data


@given(FLOATS, INTS)
def test_unpacked_numbers_are_read_as_packed_ones(floats: list[float], ints: list[int]):
    unpacked_floats = b"".join(b"\x0d" + np.float32(f).tobytes() for f in floats)
    unpacked_ints = b"".join(b"\x08" + varint(i % 2**64) for i in ints)
    entries = {"f": field(2, unpacked_floats), "i": field(3, unpacked_ints)}
    data = field(1, b"".join(field(1, field(1, k.encode()) + field(2, v)) for k, v in entries.items()))
    example = Example(data)
    np.testing.assert_array_equal(example.floats("f"), np.array(floats, np.float32), strict=True)
    np.testing.assert_array_equal(example.ints("i"), np.array(ints, np.int64), strict=True)
    expected = tf_example_pb2.Example.FromString(data).features.feature
    assert list(expected["i"].int64_list.value) == example.ints("i").tolist()


def test_merged_messages_unknown_fields_and_mixed_packing_are_read_as_protobuf_does():
    packed_and_not = b"\x0a\x08" + np.array([1, 2], "<f4").tobytes() + b"\x0d" + np.float32(3).tobytes()
    unknown = field(9, b"later version") + b"\x38\x05" + b"\x41" + bytes(8) + b"\x4d" + bytes(4)
    twice = field(2, packed_and_not) + unknown + field(2, b"\x0d" + np.float32(4).tobytes())
    replaced = field(2, packed_and_not) + field(3, b"\x0a\x01\x07")
    entry = field(1, field(1, b"k") + field(2, twice)) + field(1, field(2, replaced) + field(1, b"o"))
    data = field(1, entry) + field(1, field(1, field(1, b"empty")))
    expected = tf_example_pb2.Example.FromString(data).features.feature
    example = Example(data)
    assert set(example) == set(expected) == {"k", "o", "empty"}
    assert example.floats("k").tolist() == list(expected["k"].float_list.value) == [1, 2, 3, 4]
    assert example.kind("o") == "int64"
    assert example.ints("o").tolist() == list(expected["o"].int64_list.value) == [7]
    assert example.kind("empty") is None
    assert example.values("empty") == []


@given(INTS)
def test_variable_length_numbers_come_back(values: list[int]):
    array = np.array(values, np.int64)
    data = encode_varints(array.view(np.uint64))
    assert data == b"".join(varint(v % 2**64) for v in values)
    np.testing.assert_array_equal(decode_varints(np.frombuffer(data, np.uint8), 0), array)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_a_data_error(data: bytes):
    def read() -> None:
        example = Example(data, "shard, record 3")
        for key in example:
            example.values(key)

    with suppress(DataError):
        read()  # any other exception fails the test


@given(FEATURES.filter(bool), st.data())
def test_a_cut_example_is_an_example_or_a_data_error_that_says_where(features: dict, data: st.DataObject):
    whole = serialise(features)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    if not cut:
        assert set(Example(cut)) == set()
        return
    with pytest.raises(DataError, match=r"byte \d+ of its data"):
        Example(cut)


def test_a_missing_key_and_a_wrong_kind_are_told():
    example = Example(serialise({"steps/action": np.zeros(3, np.float32)}), "shard, record 1")
    with pytest.raises(DataError, match="'steps/state'"):
        example.floats("steps/state")
    with pytest.raises(DataError, match="got: float"):
        example.ints("steps/action")


def test_keys_not_asked_for_are_not_read():
    image = bytes(100_000)
    data = bytearray(serialise({"a": np.ones(2, np.float32), "image": [image, image]}))
    example = Example(memoryview(data))
    data[data.index(image) : data.index(image) + 5] = b"\xff" * 5  # would not parse as anything
    assert example.floats("a").tolist() == [1, 1]
    assert bytes(next(example.each_bytes("image")))[:5] == b"\xff" * 5
