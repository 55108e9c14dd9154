"""Damage to a data set's files is told with file, record and byte, when it is opened or read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import make_episode, write_dataset

import vla_data
from vla_data.errors import DataError
from vla_data.files import read_json, write_json
from vla_data.formats.rlds import RldsReader, shard_path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "made_up" / "1.0.0", [make_episode(i, 3) for i in range(4)], shards=2)


def shard(directory: Path, index: int = 0) -> Path:
    return shard_path(directory, "made_up", "train", index, 2)


def test_a_truncated_shard_is_told_when_opened(whole: Path):
    content = shard(whole, 1).read_bytes()
    shard(whole, 1).write_bytes(content[:-10])
    with pytest.raises(DataError, match="ends inside a record") as caught:
        RldsReader.open(whole)
    assert str(shard(whole, 1)) in str(caught.value.where)
    assert "record 1, byte" in str(caught.value.where)


def test_a_shard_cut_between_records_is_told_by_its_count(whole: Path):
    path = shard(whole)
    (length,) = np.frombuffer(path.read_bytes()[:8], np.uint64)
    path.write_bytes(path.read_bytes()[: 16 + int(length)])
    with pytest.raises(DataError, match="another number of records") as caught:
        RldsReader.open(whole)
    assert (caught.value.expected, caught.value.got) == ("2 records", "1 records")


@pytest.mark.parametrize(("offset", "message"), [(3, "length is damaged"), (200, "its data does not fit")])
def test_a_flipped_bit_is_told_with_file_record_and_byte(whole: Path, offset: int, message: str):
    content = bytearray(shard(whole).read_bytes())
    content[offset] ^= 1
    shard(whole).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        RldsReader.open(whole)[0]
    assert f"{shard(whole)}, record 0, byte " in str(caught.value.where)
    assert RldsReader.open(whole)[2].id == "episode-1"  # the other shard is not affected


def test_a_flipped_bit_is_let_through_when_asked(whole: Path):
    content = bytearray(shard(whole).read_bytes())
    content[-1] ^= 1  # in the checksum itself: the data is fine
    shard(whole).write_bytes(content)
    assert RldsReader.open(whole, verify=False)[1].id == "episode-2"
    with pytest.raises(DataError):
        RldsReader.open(whole)[1]


def test_a_missing_shard_is_told(whole: Path):
    shard(whole, 1).unlink()
    with pytest.raises(DataError, match="a shard is missing") as caught:
        RldsReader.open(whole)
    assert str(shard(whole, 1)) in str(caught.value.where)
    assert caught.value.got == "1 of them"


def test_a_shard_of_another_generation_is_told(whole: Path):
    shutil.copy(shard(whole), shard_path(whole, "made_up", "train", 0, 3))
    with pytest.raises(DataError, match="does not declare"):
        RldsReader.open(whole)


def test_sizes_that_do_not_add_up_are_told(whole: Path):
    info = read_json(whole / "dataset_info.json")
    info["splits"][0]["numBytes"] = str(int(info["splits"][0]["numBytes"]) + 1)
    write_json(whole / "dataset_info.json", info)
    with pytest.raises(DataError, match="do not add up"):
        RldsReader.open(whole)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_a_missing_file_of_facts_is_told_by_name(whole: Path, name: str):
    (whole / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
        vla_data.open_episodes(whole)
    assert caught.value.next_step


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"name": "x", "splits": [{}]}'])
def test_a_broken_info_file_is_told(whole: Path, content: str):
    (whole / "dataset_info.json").write_text(content)
    with pytest.raises(DataError) as caught:
        RldsReader.open(whole)
    assert str(whole / "dataset_info.json") in str(caught.value)
