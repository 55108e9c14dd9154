"""Hostile and broken RLDS input: always an error that says where, never a crash, a bomb or a silent loss."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.episodes import make_episode, write_dataset

from vla_data import open_episodes
from vla_data.errors import DataError, VlaError
from vla_data.files import inside, read_json, write_json
from vla_data.formats.example import Example, serialise
from vla_data.formats.features import Leaf
from vla_data.formats.leaves import decode_leaf
from vla_data.formats.rlds import RldsReader
from vla_data.formats.tfrecord import masked_crc32c
from vla_data.images import ImageEncoding, decode, encode
from vla_data.usable import Requirements, Skipped, usable_episodes


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "made_up" / "1.0.0", [make_episode(i, 3) for i in range(3)])


def edit(path: Path, **changes: Any) -> None:
    write_json(path, read_json(path) | changes)


NAMES = ["../secret", "/etc/passwd", "a/../../b", "..\\b", "C:\\b", "C:b", "", "a\0b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_of_its_directory_is_refused(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="leads out of its directory") as caught:
        inside(tmp_path, name, "list.json")
    assert caught.value.where == "list.json"


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("x")
    (root / "kept").write_text("x")
    os.symlink(tmp_path / "secret", root / "out")
    os.symlink(root / "kept", root / "here")
    assert inside(root, "here", "list.json").read_text() == "x"
    with pytest.raises(DataError, match="leads out of its directory"):
        inside(root, "out", "list.json")


@pytest.mark.parametrize(
    ("key", "value"), [("name", "../../other"), ("name", "/etc/passwd"), ("filepathTemplate", "/etc/passwd")]
)
def test_an_info_file_cannot_name_files_elsewhere(whole: Path, key: str, value: str):
    info = read_json(whole / "dataset_info.json")
    target = info if key == "name" else info["splits"][0]
    target[key] = value
    write_json(whole / "dataset_info.json", info)
    with pytest.raises(DataError, match="leads out of its directory"):
        open_episodes(whole)


@pytest.mark.parametrize("template", ["{DATASET:>99999999999}", "{0}", "{", "{DATASET.__class__}", "{X}"])
def test_a_template_is_not_a_program(whole: Path, template: str):
    info = read_json(whole / "dataset_info.json")
    info["splits"][0]["filepathTemplate"] = template
    write_json(whole / "dataset_info.json", info)
    with pytest.raises(DataError, match="a shard is missing"):
        open_episodes(whole)


def test_a_shard_that_is_a_link_out_is_refused(whole: Path, tmp_path: Path):
    shard = next(whole.glob("*.tfrecord*"))
    shard.rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", shard)
    with pytest.raises(DataError, match="leads out of its directory"):
        open_episodes(whole)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "vla.json"])
def test_json_nested_without_end_is_refused(whole: Path, name: str):
    (whole / name).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(DataError):
        assert open_episodes(whole).robot


def test_a_tree_of_features_nested_without_end_is_refused(whole: Path):
    node = '{"pythonClassName": "Sequence", "sequence": {"feature": '
    (whole / "features.json").write_text(node * 400 + "1" + "}}" * 400)
    with pytest.raises(DataError, match=r"features\.json"):
        open_episodes(whole)


@pytest.mark.parametrize("shape", [(2,), (None,)])
def test_a_compressed_bomb_is_not_inflated(shape: tuple[int | None, ...]):
    bomb = zlib.compress(bytes(1 << 29), 9)
    record = Example(serialise({"steps/x": [bomb]}))
    leaf = Leaf("tensor", shape, "float32", "zlib", rank=1)
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        decode_leaf(record, "steps/x", leaf)
    assert "grows to more than" in str(caught.value.got)


def test_a_compressed_element_that_ends_early_is_refused():
    piece = zlib.compress(np.zeros(2, np.float32).tobytes())[:-3]
    with pytest.raises(DataError, match="cannot be decoded"):
        decode_leaf(Example(serialise({"x": [piece]})), "x", Leaf("tensor", (2,), "float32", "zlib", rank=1))


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(encoding: ImageEncoding):
    data = bytearray(encode(np.zeros((8, 8, 3), np.uint8), encoding))
    if encoding == "png":
        data[16:24] = struct.pack(">II", 60_000, 60_000)
    else:
        start = next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
        data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(DataError, match="too large"):
        decode(bytes(data))
    with pytest.raises(DataError, match="another size"):
        decode(bytes(data), shape=(8, 8))


@contextmanager
def refused_by_name() -> Iterator[None]:
    """Nothing but an error that says where may come out of it."""
    try:
        yield
    except VlaError as error:
        if not error.where:
            raise AssertionError("an error without a place") from error


def rewrite_record(shard: Path, data: bytes) -> None:
    """One record with right checksums, whatever it holds."""
    header = struct.pack("<Q", len(data))
    crcs = [struct.pack("<I", masked_crc32c(b)) for b in (header, data)]
    shard.write_bytes(header + crcs[0] + data + crcs[1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_any_flipped_bytes_are_read_or_refused_by_name(tmp_path_factory, flips):
    root = tmp_path_factory.mktemp("flipped") / "made_up" / "1.0.0"
    directory = write_dataset(root, [make_episode(1, 3)])
    shard = next(directory.glob("*.tfrecord*"))
    data = bytearray(shard.read_bytes()[12:-4])
    for place, mask in flips:
        data[int(place * (len(data) - 1))] ^= mask
    rewrite_record(shard, bytes(data))  # as if the checksum were right
    with refused_by_name():
        reader = RldsReader.open(directory)
        for episode in (reader[0], reader.read_series(0)):
            for frames in episode.images.values():
                [frames[t] for t in range(len(frames))]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["features.json", "dataset_info.json", "vla.json"]))
def test_any_changed_facts_are_read_or_refused_by_name(tmp_path_factory, data: st.DataObject, name: str):
    root = tmp_path_factory.mktemp("facts") / "made_up" / "1.0.0"
    directory = write_dataset(root, [make_episode(1, 3)])
    facts = read_json(directory / name)
    places = list(_places(facts))
    path = data.draw(st.sampled_from(places))
    value = data.draw(
        st.sampled_from([None, -1, 0, 1 << 70, "x", "", [], {}, True, 0.5, [None], {"a": {}}, "NaN"])
    )
    (directory / name).write_text(json.dumps(_put(facts, path, value)))
    with refused_by_name():
        reader = open_episodes(directory)
        episode = reader[0]
        for frames in episode.images.values():
            frames[0]
        reader.feature_rows()


def _places(node: Any, path: tuple = ()) -> Any:
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from _places(child, (*path, key))


def _put(node: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    node = dict(node) if isinstance(node, dict) else list(node)
    node[path[0]] = _put(node[path[0]], path[1:], value)
    return node


@pytest.fixture
def unchecked(monkeypatch):
    """A writer that takes anything, as those of other people may."""
    monkeypatch.setattr("vla_data.formats.rlds.writer.check_episode", lambda episode, schema: None)


@pytest.mark.usefixtures("unchecked")
def test_episodes_that_cannot_be_used_are_named_or_counted(tmp_path: Path):
    nan = make_episode(1, 4)
    action = nan.action.copy()
    action[2, 1] = np.nan
    episodes = [
        make_episode(0, 3),
        replace(nan, action=action),
        make_episode(2, 1),
        make_episode(3, 3, instruction=" "),
    ]
    reader = open_episodes(write_dataset(tmp_path / "made_up" / "1.0.0", episodes))
    require = Requirements(instruction=True)
    with pytest.raises(DataError, match="action not finite") as caught:
        list(usable_episodes(reader, require))
    assert "step 2" in str(caught.value.got)
    assert "episode-1" in str(caught.value.where)
    left: list[Skipped] = []
    kept = [i for i, _ in usable_episodes(reader, require, skip_corrupt=True, skipped=left)]
    assert kept == [0]
    assert [(s.index, s.kind) for s in left] == [
        (1, "action not finite"),
        (2, "too short"),
        (3, "no instruction"),
    ]


def test_a_damaged_record_is_counted_and_its_neighbours_are_read(tmp_path: Path):
    directory = write_dataset(tmp_path / "made_up" / "1.0.0", [make_episode(i, 3) for i in range(3)])
    shard = next(directory.glob("*.tfrecord*"))
    content = bytearray(shard.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    content[16 + length + 12 + 40] ^= 1  # in the data of the second record
    shard.write_bytes(content)
    left: list[Skipped] = []
    reader = open_episodes(directory)
    kept = [i for i, _ in usable_episodes(reader, images=True, skip_corrupt=True, skipped=left)]
    assert kept == [0, 2]
    assert [s.index for s in left] == [1]
    assert "record 1" in left[0].message


@pytest.mark.usefixtures("unchecked")
def test_an_episode_without_steps_is_read_and_told(tmp_path: Path):
    reader = open_episodes(write_dataset(tmp_path / "made_up" / "1.0.0", [make_episode(0, 0)]))
    assert len(reader[0]) == 0
    with pytest.raises(DataError, match="too short"):
        list(usable_episodes(reader))
