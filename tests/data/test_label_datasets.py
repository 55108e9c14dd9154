"""Labels of whole data sets: the copy loses nothing, the files beside it say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import assert_same, make_episode, write_dataset

from vla_data import open_episodes
from vla_data.errors import DataError
from vla_data.formats.tfrecord import RecordFile
from vla_data.images import EncodedImages
from vla_data.label import LabelConfig, LabelOptions, label_dataset, make_labeller, mean_f1
from vla_data.label.kinematic import KinematicConfig
from vla_data.rewriting import CopyConfig, rewrite, stored_encoding
from vla_data.types import Episode, SubStep

BRIDGE = Path(__file__).resolve().parents[3] / "shared/data/rlds/bridge_dataset/1.0.0"
CONFIG = LabelConfig(kinematic=KinematicConfig(window=1, change=0.5, min_steps=2))


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [
        make_episode(seed=i, steps=12, substeps=(SubStep(0, 2, "a"), SubStep(2, 12, "b"))) for i in range(5)
    ]


@pytest.fixture(scope="module")
def source(episodes: list[Episode], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("source") / "made_up" / "1.0.0", episodes, shards=2)


def read_all(directory: str | Path) -> list[Episode]:
    reader = open_episodes(directory)
    return [reader[i] for i in range(len(reader))]


def test_a_copy_carries_the_labels_and_all_else(source: Path, tmp_path: Path) -> None:
    summary = label_dataset(str(source), tmp_path, CONFIG, LabelOptions(workers=2))
    labeller = make_labeller(CONFIG)
    originals, copies = read_all(source), read_all(summary["directory"])
    assert [c.id for c in copies] == [o.id for o in originals]
    for original, copy in zip(originals, copies, strict=True):
        assert_same(copy, replace(original, substeps=labeller.label(original)))
    assert summary["substeps"] == sum(len(c.substeps) for c in copies) > len(copies)
    assert summary["episodes"] == 5
    assert summary["skipped"] == 0
    pairs = [(c.substeps, o.substeps) for c, o in zip(copies, originals, strict=True)]
    assert summary["f1_with_old"] == pytest.approx(mean_f1(pairs))


def test_a_sidecar_says_the_same_and_copies_nothing(source: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists.md"
    summary = label_dataset(str(source), tmp_path, CONFIG, LabelOptions(sidecar=True, checklists=lists))
    lines = [json.loads(line) for line in (tmp_path / "substeps.jsonl").read_text().splitlines()]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lists.md", "substeps.jsonl"]
    for line, episode in zip(lines, read_all(source), strict=True):
        told = make_labeller(CONFIG).label(episode)
        assert (line["id"], line["steps"]) == (episode.id, 12)
        assert [SubStep(**s) for s in line["substeps"]] == list(told)
    assert summary["substeps"] == lists.read_text().count("- [x]")
    assert lists.read_text().count("## Schließe die Tür") == 5


def test_what_cannot_be_used_is_named_or_counted(episodes: list[Episode], tmp_path: Path) -> None:
    broken = [*episodes[:2], make_episode(seed=7, steps=1), episodes[2]]
    source = write_dataset(tmp_path / "made_up" / "1.0.0", broken)
    with pytest.raises(DataError, match="too short"):
        label_dataset(str(source), tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
    summary = label_dataset(str(source), tmp_path / "out", CONFIG, LabelOptions(skip_corrupt=True, workers=1))
    assert (summary["episodes"], summary["skipped"]) == (3, 1)
    assert summary["reasons"] == {"too short": 1}
    assert len(read_all(summary["directory"])) == 3


def test_a_damaged_record_is_named_or_counted_and_leaves_no_half_copy(source: Path, tmp_path: Path) -> None:
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shard = next(tmp_path.glob("*.tfrecord-00000*"))
    data = bytearray(shard.read_bytes())
    data[int(RecordFile(shard).lengths[0]) - 40] ^= 0xFF  # near the end of the first record
    shard.write_bytes(data)
    items = [(i, None) for i in range(5)]
    with pytest.raises(DataError):
        rewrite(str(tmp_path), "train", tmp_path / "out", items, keep, CopyConfig(workers=1))
    assert not list((tmp_path / "out").rglob("*.tfrecord*"))
    skipped = []
    copying = CopyConfig(skip_corrupt=True, workers=1)
    summary = rewrite(str(tmp_path), "train", tmp_path / "out", items, keep, copying, skipped=skipped)
    assert summary["episodes"] == 4
    assert [s.index for s in skipped] == [0]


def keep(episode: Episode, told: None) -> list[Episode]:
    return [episode]


def test_nothing_left_is_an_error(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no episode is left"):
        rewrite(str(source), "train", tmp_path, [], keep)


@pytest.mark.skipif(not BRIDGE.is_dir(), reason="the shared data sets are not there")
def test_real_episodes_keep_the_bytes_of_their_frames(tmp_path: Path) -> None:
    assert stored_encoding(open_episodes(BRIDGE)[0]) == "jpeg"
    summary = label_dataset(str(BRIDGE), tmp_path, options=LabelOptions(workers=1))
    originals, copies = open_episodes(BRIDGE), open_episodes(summary["directory"])
    assert summary["episodes"] == len(originals) == 25
    for i in (0, 24):
        original, copy = originals[i], copies[i]
        assert copy.instruction == original.instruction
        np.testing.assert_array_equal(copy.action, original.action, strict=True)
        for name, frames in original.images.items():
            assert isinstance(frames, EncodedImages)
            copied = copy.images[name]
            assert isinstance(copied, EncodedImages)
            assert [bytes(f) for f in copied.frames] == [bytes(f) for f in frames.frames]
        assert copy.substeps[-1].stop == len(copy)
