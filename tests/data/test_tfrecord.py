"""TFRecord: what is written comes back, and every kind of damage is told with file, record and byte."""

from __future__ import annotations

import errno
import os
import re
import resource
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import DataError
from vla_data.formats.tfrecord import FOOTER, HEADER, RecordFile, RecordWriter, masked_crc32c

RECORDS = [b"first", b"", b"third record" * 50]
DATA_AT = HEADER.size  # of the first record


def write(path: Path, records: list[bytes]) -> Path:
    with RecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_records_come_back(tmp_path_factory, records: list[bytes]):
    file = RecordFile(write(tmp_path_factory.mktemp("records") / "shard", records))
    assert list(file) == records
    assert [bytes(file.view(i)) for i in range(len(file))] == records


def test_checksums_are_those_of_the_format():
    # Masked crc32c of the eight zero bytes of a zero length, and of no bytes at all.
    crc_of_zeros = 0x8C28B28A
    rotated = (crc_of_zeros >> 15 | crc_of_zeros << 17) & 0xFFFFFFFF
    assert masked_crc32c(bytes(8)) == (rotated + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c(b"") == 0xA282EAD8


def damage(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("offset", "message", "byte"),
    [
        (0, "length is damaged", 0),
        (9, "length is damaged", 0),
        (DATA_AT + 2, "its data does not fit", DATA_AT),
        (DATA_AT + 5 + 1, "its data does not fit", DATA_AT),
    ],
    ids=["length", "length checksum", "data", "data checksum"],
)
def test_a_flipped_bit_is_found(tmp_path: Path, offset: int, message: str, byte: int):
    path = write(tmp_path / "shard", RECORDS)
    damage(path, offset)
    with pytest.raises(DataError, match=message) as caught:
        list(RecordFile(path))
    assert caught.value.where == f"{path}, record 0, byte {byte}"
    assert caught.value.next_step


def test_a_flipped_bit_of_a_later_record_names_that_record_and_spares_the_others(tmp_path: Path):
    path = write(tmp_path / "shard", RECORDS)
    damage(path, path.stat().st_size - 100)
    file = RecordFile(path)
    assert [file.read(0), file.read(1)] == RECORDS[:2]
    with pytest.raises(DataError, match=r"record 2, byte 49\b"):
        file.read(2)
    assert len(file.read(2, verify=False)) == len(RECORDS[2])


@given(cut=st.integers(1, 600))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path_factory, cut: int):
    path = write(tmp_path_factory.mktemp("cut") / "shard", RECORDS)
    content = path.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    path.write_bytes(kept)
    whole = [0, 21, 37]  # where records begin
    if len(kept) in whole:
        assert len(RecordFile(path)) == whole.index(len(kept))  # the info file knows how many are lacking
        return
    with pytest.raises(DataError, match="ends inside a record") as caught:
        RecordFile(path)
    start = max(b for b in whole if b < len(kept))
    assert caught.value.where == f"{path}, record {whole.index(start)}, byte {start}"


def test_a_huge_length_with_a_right_checksum_allocates_nothing(tmp_path: Path):
    header = struct.pack("<Q", 2**62)
    (tmp_path / "shard").write_bytes(header + FOOTER.pack(masked_crc32c(header)) + b"data")
    with pytest.raises(DataError, match="ends inside a record") as caught:
        RecordFile(tmp_path / "shard")
    assert caught.value.expected is not None
    assert str(2**62) in caught.value.expected


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(DataError, match="shard is missing"):
        RecordFile(tmp_path / "shard")


def test_an_empty_file_holds_no_records(tmp_path: Path):
    assert len(RecordFile(write(tmp_path / "shard", []))) == 0


def test_nothing_is_left_when_the_disk_fills_while_writing(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # the file system refuses what goes past it
    try:
        with pytest.raises(DataError, match="nothing was left") as caught:
            write(tmp_path / "shard", [bytes(10_000)] * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.search(r"record \d+, byte \d+", str(caught.value))
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_when_the_disk_is_full_at_the_last_flush(tmp_path: Path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write(tmp_path / "shard", [b"record"])
    assert os.listdir(tmp_path) == []


def test_an_error_while_writing_leaves_the_earlier_file(tmp_path: Path):
    path = write(tmp_path / "shard", [b"earlier"])
    with pytest.raises(TypeError):
        write(path, [b"later", None])  # type: ignore[list-item]
    assert list(RecordFile(path)) == [b"earlier"]
    assert os.listdir(tmp_path) == ["shard"]
