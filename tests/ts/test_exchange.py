"""Series and codes in files: what goes in comes out, and what is neither is refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ts.conftest import SPEC
from tests.ts.series import reaching

from vla_data.errors import DataError
from vla_ts import DctBpeCodec, UniformBinsCodec
from vla_ts.dct_bpe import DctBpeConfig
from vla_ts.exchange import (
    Piece,
    cut,
    decode_pieces,
    encode_pieces,
    join,
    lines_of,
    pieces_of_series,
    to_bytes,
)
from vla_ts.parsing import parse, parse_codes

HORIZON = 6
NAMES = tuple(d.name for d in SPEC.dims)
BINS = UniformBinsCodec(SPEC, HORIZON, bins=4096)


@pytest.fixture(scope="module")
def dct() -> DctBpeCodec:
    return DctBpeCodec.fit(reaching(8).chunks(HORIZON), SPEC, DctBpeConfig(20.0, 1000))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_series_cut_coded_and_joined_are_themselves(lengths: list[int]):
    rng = np.random.default_rng(0)
    series = {str(i): rng.uniform(-1, 1, (n, 4)).astype(np.float32) for i, n in enumerate(lengths)}
    coded = encode_pieces(BINS, cut(series.items(), HORIZON))
    stream = to_bytes(coded, "codes", "jsonl", SPEC)
    back = join(decode_pieces(BINS, parse_codes(stream, "stream")))
    assert list(back) == list(series)
    for name, values in series.items():
        np.testing.assert_allclose(back[name], values, atol=1e-3)


@pytest.mark.parametrize("layout", ["jsonl", "npy"])
def test_codes_of_different_length_survive_files(dct: DctBpeCodec, layout: str):
    pieces = cut([("a", reaching(1).episodes[0])], HORIZON)
    coded = encode_pieces(dct, pieces)
    assert len({len(p.values) for p in coded}) > 1
    back = decode_pieces(dct, parse_codes(to_bytes(coded, "codes", layout, SPEC), "x"))
    direct = dct.decode(dct.encode(np.stack([p.values for p in pieces])))
    np.testing.assert_array_equal(np.stack([p.values for p in back]), direct)


def test_each_kind_of_file_holds_the_same_series():
    series = reaching(1).episodes[0]
    archive, plain = io.BytesIO(), io.BytesIO()
    np.savez(archive, one=series)
    np.save(plain, series)
    table = to_bytes([Piece("a", 0, len(series), series)], "actions", "csv", SPEC)
    headless = table.split(b"\n", 1)[1]
    lines = to_bytes([Piece("one", 0, len(series), series)], "actions", "jsonl", SPEC)
    bare = json.dumps(series.tolist()).encode()
    for data, name in (
        (archive.getvalue(), "one"),
        (plain.getvalue(), "0"),
        (table, "0"),
        (headless, "0"),
        (lines, "one"),
        (bare, "0"),
    ):
        found = parse(data, "x", NAMES)
        assert [n for n, _ in found] == [name]
        assert found[0][1].dtype == np.float32
        np.testing.assert_allclose(found[0][1], series, rtol=1e-6)


def test_overlapping_chunks_start_every_stride_and_do_not_join():
    series = np.arange(40, dtype=np.float32).reshape(10, 4) / 40
    pieces = cut([("a", series)], HORIZON, stride=2)
    assert [(p.start, p.steps) for p in pieces] == [(0, 6), (2, 6), (4, 6), (6, 4), (8, 2)]
    np.testing.assert_array_equal(pieces[4].values[2:], np.repeat(series[-1:], 4, axis=0))
    with pytest.raises(DataError, match="side by side"):
        join(pieces)


def test_chunks_are_taken_as_they_are():
    chunks = reaching(1).chunks(HORIZON)[:3]
    pieces = cut([("a", chunks)], HORIZON)
    assert [p.episode for p in pieces] == ["a/0", "a/1", "a/2"]
    np.testing.assert_array_equal(np.stack([p.values for p in pieces]), chunks)
    assert next(lines_of(pieces, "actions"))["actions"] == chunks[0].tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"x,y\n1,2\n",
        b"1,2\n3\n",
        b'{"codes": [1]}',
        b'{"actions": "no"}',
        b"\x93NUMPY",
        b"PK\x03",
        b"",
        b"\xff\xfe",
    ],
)
def test_what_is_no_series_is_refused(data: bytes):
    with pytest.raises(DataError, match="holds no series"):
        parse(data, "x", NAMES)


@pytest.mark.parametrize(
    "data", [b"hello", b'{"codes": [1.5]}', b'{"codes": [[1]]}', b'{"actions": [1]}', b"\x93NUMPY"]
)
def test_what_is_no_code_is_refused(data: bytes):
    with pytest.raises(DataError, match="holds no codes"):
        parse_codes(data, "x")


def test_pickled_arrays_are_refused():
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for read in (lambda d: parse(d, "x"), lambda d: parse_codes(d, "x")):
        with pytest.raises(DataError):
            read(stream.getvalue())


def test_widths_are_checked_by_place():
    with pytest.raises(DataError, match="episode b, step 0"):
        encode_pieces(
            BINS, cut([("a", np.zeros((6, 4), np.float32)), ("b", np.zeros((6, 3), np.float32))], HORIZON)
        )
    with pytest.raises(DataError, match="neither a series nor chunks"):
        cut([("a", np.zeros(6, np.float32))], HORIZON)
    rows = [Piece("0", 0, 6, np.zeros(24, np.int64)), Piece("1", 0, 6, np.zeros(23, np.int64))]
    with pytest.raises(DataError, match="episode 1, step 0"):
        decode_pieces(BINS, rows)


def test_many_series_do_not_go_into_one_table():
    pieces = pieces_of_series(
        decode_pieces(
            BINS,
            encode_pieces(
                BINS, cut([("a", reaching(1).episodes[0]), ("b", reaching(1).episodes[0][:9])], HORIZON)
            ),
        )
    )
    for layout in ("csv", "npy"):
        with pytest.raises(DataError, match="2 pieces"):
            to_bytes(pieces, "actions", layout, SPEC)


def test_nothing_is_nothing():
    assert decode_pieces(BINS, encode_pieces(BINS, [])) == []
    assert to_bytes([], "codes", "jsonl", SPEC) == b""
