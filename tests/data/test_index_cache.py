"""What is known of files between runs: used when it fits, never when it does not, never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vla_data.formats import index_cache
from vla_data.formats.index_cache import MIN_RECORDS, load, stamp_of, store
from vla_data.formats.tfrecord import RecordFile, RecordWriter

OLD = 1_600_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("VLA_INDEX_CACHE", raising=False)
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.idx"))


def write(path: Path, records: list[bytes], time: int = OLD) -> Path:
    with RecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    os.utime(path, (time, time))
    return path


def records(seed: int, count: int = MIN_RECORDS + 6) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(n)) for n in rng.integers(0, 50, count)]


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files whose records were walked."""
    seen: list[Path] = []
    walk = RecordFile._walk

    def watched(self: RecordFile) -> np.ndarray:
        seen.append(self.path)
        return walk(self)

    monkeypatch.setattr(RecordFile, "_walk", watched)
    return seen


def test_a_shard_is_walked_once(tmp_path: Path, cache: Path, walks: list[Path]):
    path = write(tmp_path / "shard", expected := records(0))
    for _ in range(3):
        assert list(RecordFile(path)) == expected
    assert walks == [path]
    assert len(kept(cache)) == 1


def test_a_short_shard_is_not_worth_a_file(tmp_path: Path, cache: Path, walks: list[Path]):
    path = write(tmp_path / "shard", expected := records(0, MIN_RECORDS - 1))
    assert list(RecordFile(path)) == list(RecordFile(path)) == expected
    assert len(walks) == 2
    assert kept(cache) == []


def test_another_time_or_size_is_another_file(tmp_path: Path, walks: list[Path]):
    path = tmp_path / "shard"
    for seed, time in ((1, OLD), (2, OLD), (3, OLD + 5)):
        write(path, expected := records(seed), time)
        assert list(RecordFile(path)) == expected
    assert len(walks) == 3


def test_same_size_and_time_but_other_records_are_noticed_where_they_do_not_add_up(tmp_path: Path):
    """Of a cache that lies: what does not cover the file exactly is not believed."""
    path = write(tmp_path / "shard", expected := records(4))
    stamp = stamp_of(path)
    assert stamp is not None
    for lie in (np.array([5, 7]), np.array([-16, path.stat().st_size])):
        store(f"records {path.resolve()}", stamp, lie)
        assert list(RecordFile(path)) == expected


def test_a_file_changed_just_now_is_not_kept(tmp_path: Path, cache: Path):
    with RecordWriter(tmp_path / "shard") as writer:
        for record in records(5):
            writer.write(record)
    assert len(RecordFile(tmp_path / "shard")) == MIN_RECORDS + 6
    assert kept(cache) == []


@pytest.mark.parametrize("damage", [b"", b"short", None, "flip"])
def test_a_damaged_table_is_none(cache: Path, damage: bytes | str | None):
    store("key", "stamp", table := np.arange(100))
    np.testing.assert_array_equal(load("key", "stamp"), table)
    [path] = kept(cache)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(damage if isinstance(damage, bytes) else bytes(data) if damage else bytes(data[:-8]))
    assert load("key", "stamp") is None


def test_key_and_stamp_both_count():
    store("key", "stamp", np.arange(3))
    assert load("key", "other") is None
    assert load("other", "stamp") is None


def test_old_tables_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_cache, "BYTES_A_FOLDER", 20_000)
    monkeypatch.setattr(index_cache, "_path", lambda key: cache / "index" / "00" / f"{key}.idx")
    for i in range(20):
        store(str(i), "stamp", np.arange(500))
        os.utime(cache / "index" / "00" / f"{i}.idx", (OLD + i, OLD + i))
    assert sum(p.stat().st_size for p in kept(cache)) <= 20_000
    assert load("19", "stamp") is not None
    assert load("0", "stamp") is None
    store("huge", "stamp", np.arange(5000))
    assert load("huge", "stamp") is None


def test_without_a_place_to_keep_it_everything_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "shard", expected := records(6))
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "file"))
    assert list(RecordFile(path)) == expected
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VLA_INDEX_CACHE", "off")
    assert list(RecordFile(path)) == expected
    assert not (tmp_path / "cache").exists()
