"""Conversion: what goes in comes out, whatever the format; what is damaged is named or counted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.demonstrations import write_libero
from tests.data.episodes import CAMERAS, assert_same, make_episode, write_dataset
from tests.data.test_rlds import read_with_tfds

from vla_data import open_episodes
from vla_data.conversion import Comparison, ConvertConfig, compare_all, convert, run, targets
from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.formats.describe import FeatureRow, SplitRow
from vla_data.formats.lerobot import LeRobotWriter
from vla_data.images import EncodedImages, encode
from vla_data.types import ArrayImages, Episode

LENGTHS = (4, 1, 7, 3, 5)
BRIDGE = "data/rlds/bridge_dataset/1.0.0"
RLDS = ConvertConfig("rlds", episodes_per_shard=2)


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write shards in this process, which starts no other; the first test does as users do."""
    if "spawned" not in request.node.name:
        monkeypatch.setattr(targets, "run_units", lambda work, units, *_, **__: ((u, work(u)) for u in units))


@pytest.fixture
def episodes() -> list[Episode]:
    return [make_episode(i, n) for i, n in enumerate(LENGTHS)]


@pytest.fixture
def source(tmp_path: Path, episodes: list[Episode]) -> Path:
    """Two splits in RLDS."""
    directory = write_dataset(tmp_path / "made_up", episodes, shards=2)
    return write_dataset(directory, [make_episode(9, 2)], split="val")


def test_there_and_back_by_spawned_workers_nothing_is_lost(
    tmp_path: Path, source: Path, episodes: list[Episode]
):
    there = convert(source, tmp_path / "lerobot")
    back = convert(tmp_path / "lerobot", tmp_path / "rlds", RLDS, workers=1)
    for done, form in ((there, "lerobot"), (back, "rlds")):
        assert (done.format, done.splits, done.steps, done.skipped) == (form, {"train": 5, "val": 1}, 22, {})
        frames = 2 * done.steps
        assert done.comparison == Comparison(6, 6 * 8, frames, frames)
    order = [*episodes[::2], *episodes[1::2]]  # as the two shards hold them
    for directory in ("lerobot", "rlds"):
        reader = open_episodes(tmp_path / directory)
        assert reader.name == "made_up"
        for i, episode in enumerate(order):
            assert_same(reader[i], episode)
        assert_same(open_episodes(tmp_path / directory, "val")[0], make_episode(9, 2))
    assert sorted(os.listdir(tmp_path)) == ["lerobot", "made_up", "rlds"]


@pytest.mark.parametrize("images", ["png", "jpeg", "video"])
def test_images_as_they_are_asked_for(tmp_path: Path, source: Path, images: str):
    done = convert(source, tmp_path / images, ConvertConfig(images=images, splits=("train",), episodes=2))  # type: ignore[arg-type]
    assert done.splits == {"train": 2}
    assert done.comparison is not None
    if images == "png":
        assert done.comparison.equal_bytes == done.comparison.frames == 2 * done.steps
    else:
        assert done.comparison.psnr is not None
        assert done.comparison.psnr > 5  # frames of noise: the hardest there are
    kind = open_episodes(tmp_path / images)[0].images["front"]
    assert (type(kind).__name__ == "VideoFrames") == (images == "video")


def test_jpeg_is_passed_on_to_rlds_and_decoded_frames_become_png(tmp_path: Path, episodes: list[Episode]):
    images = {
        n: EncodedImages([encode(f[i], "jpeg") for i in range(4)]) for n, f in episodes[0].images.items()
    }
    for name, episode, equal in (
        ("jpeg", replace(episodes[0], images=images), True),
        ("png", episodes[0], True),
    ):
        with LeRobotWriter(tmp_path / name, "made_up", episode.robot, CAMERAS, images="keep") as writer:
            writer.write(episode)
        done = convert(tmp_path / name, tmp_path / f"{name}-rlds", RLDS, workers=1)
        assert done.comparison is not None
        assert (done.comparison.equal_bytes == done.comparison.frames) == equal
        features = json.loads((tmp_path / f"{name}-rlds" / "features.json").read_bytes())
        assert f'"{name}"' in json.dumps(features)


def test_hdf5_goes_wherever_the_others_go(tmp_path: Path):
    suite = write_libero(tmp_path / "libero_made_up")
    convert(suite, tmp_path / "lerobot")
    done = convert(tmp_path / "lerobot", tmp_path / "rlds", RLDS, workers=1)
    ours, theirs = open_episodes(suite), open_episodes(tmp_path / "rlds")
    assert compare_all([(ours, theirs, range(4))]).equal_pixels == 2 * done.steps
    assert theirs.robot == ours.robot


def test_real_data_there_and_back(tmp_path: Path, shared: Path):
    there = convert(shared / BRIDGE, tmp_path / "lerobot", ConvertConfig(splits=("train",), episodes=4))
    back = convert(tmp_path / "lerobot", tmp_path / "rlds", ConvertConfig("rlds"), workers=1)
    frames = 4 * there.steps
    for done in (there, back):
        assert done.comparison == Comparison(4, 4 * 8, frames, frames)
    source, copy = open_episodes(shared / BRIDGE), open_episodes(tmp_path / "rlds")
    assert compare_all([(source, copy, range(4))]) == there.comparison


@pytest.mark.slow
def test_all_real_data_there_and_back_and_in_tfds(tmp_path: Path, shared: Path):
    there = convert(shared / BRIDGE, tmp_path / "lerobot")
    convert(tmp_path / "lerobot", tmp_path / "rlds", ConvertConfig("rlds"), workers=2)
    assert there.splits == {"train": 25, "val": 25}
    source, copy = open_episodes(shared / BRIDGE), open_episodes(tmp_path / "rlds")
    found = compare_all([(source, copy, range(25))])
    assert found.equal_bytes == found.frames > 0
    theirs = read_with_tfds(tmp_path, {tmp_path / "rlds": "train"})[tmp_path / "rlds"]
    for i in range(25):
        episode = source[i]
        for t in range(len(episode)):
            np.testing.assert_array_equal(theirs[f"{i}/{t}/action"], episode.action[t])
            np.testing.assert_array_equal(theirs[f"{i}/{t}/observation/state"], episode.state[t])
            for camera, frames in episode.images.items():
                np.testing.assert_array_equal(theirs[f"{i}/{t}/observation/{camera}"], frames[t])


def damaged(episodes: list[Episode]) -> list[Episode]:
    """Good, too large a frame inside, NaN, a broken picture at the end, no step, good."""
    frames = [encode(np.zeros((24, 32, 3), np.uint8), "png") for _ in range(4)]
    large = [*frames[:1], encode(np.zeros((48, 64, 3), np.uint8), "png"), *frames[2:]]
    broken = [*frames[:3], frames[3][: len(frames[3]) // 2]]
    first = episodes[0]
    action = first.action.copy()
    action[1, 2] = np.nan
    wrist = first.images["wrist"]
    return [
        first,
        replace(first, id="large", images={"front": EncodedImages(large), "wrist": wrist}),
        replace(first, id="nan", action=action),
        replace(first, id="broken", images={"front": EncodedImages(broken), "wrist": wrist}),
        make_episode(4, 0, id="empty"),
        episodes[2],
    ]


class Source:
    """A reader over episodes in memory."""

    name, split, rate_assumed = "made_up", "train", False

    def __init__(self, episodes: list[Episode]) -> None:
        self.episodes, self.robot, self.cameras = episodes, episodes[0].robot, CAMERAS

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitem__(self, index: int) -> Episode:
        return self.episodes[index]

    def split_rows(self) -> list[SplitRow]:
        return [SplitRow("train", len(self), 1, 0)]

    read_series = __getitem__

    @classmethod
    def open(cls, path: Path, split: str = "train") -> Source:
        raise AssertionError("held in memory")

    def feature_rows(self) -> list[FeatureRow]:
        return []

    def checksums(self) -> list[tuple[int, int]]:
        return []


@pytest.fixture
def bad_source(monkeypatch: pytest.MonkeyPatch, episodes: list[Episode]) -> Source:
    source, real = Source(damaged(episodes)), open_episodes
    opened = lambda uri, split="train": source if uri == "bad" else real(uri, split)  # noqa: E731
    monkeypatch.setattr(run, "open_episodes", opened)
    return source


@pytest.mark.parametrize("to", ["lerobot", "rlds"])
def test_damaged_episodes_are_named_or_counted(tmp_path: Path, bad_source: Source, to: str):
    config = ConvertConfig(to, skip_corrupt=True, episodes_per_shard=3)  # type: ignore[arg-type]
    done = convert("bad", tmp_path / "out", config)
    assert done.splits == {"train": 2}
    left = {s.index: s.kind for s in done.skipped["train"]}
    assert sorted(left) == [1, 2, 3, 4]
    assert "another size" in left[1]
    assert "NaN" in left[2] or "finite" in left[2]
    assert "decoded" in left[3]
    assert left[4] == "too short"
    assert [open_episodes(tmp_path / "out")[i].id for i in range(2)] == ["episode-0", "episode-2"]
    with pytest.raises(DataError, match="another size"):
        convert("bad", tmp_path / "other", replace(config, skip_corrupt=False))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("images", ["jpeg", "video"])
def test_a_video_goes_on_after_an_episode_that_failed(tmp_path: Path, bad_source: Source, images: str):
    done = convert("bad", tmp_path / "out", ConvertConfig(images=images, skip_corrupt=True))  # type: ignore[arg-type]
    assert done.splits == {"train": 2}
    reader = open_episodes(tmp_path / "out")
    for i, episode in enumerate((bad_source[0], bad_source[5])):
        np.testing.assert_array_equal(reader[i].action, episode.action)
        assert (
            np.corrcoef(reader[i].images["front"][1].ravel(), episode.images["front"][1].ravel())[0, 1] > 0.5
        )


def test_an_interrupted_conversion_goes_on_with_the_shards_that_are_missing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    written: list[str] = []
    real = targets._write_shard

    def dying(shard: targets._Shard) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(str(shard))
        real(shard)

    monkeypatch.setattr(targets, "_write_shard", dying)
    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", RLDS)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="something else"):
        convert(source, tmp_path / "out", replace(RLDS, images="jpeg"))
    monkeypatch.setattr(targets, "_write_shard", lambda shard: (written.append(str(shard)), real(shard)))
    convert(source, tmp_path / "out", RLDS)
    assert len(written) == len(set(written)) == 4
    assert sorted(os.listdir(tmp_path)) == ["made_up", "out"]
    assert len(open_episodes(tmp_path / "out")) == 5


def test_a_copy_that_differs_does_not_get_its_name(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
):
    real = LeRobotWriter.write

    def changing(self: LeRobotWriter, episode: Episode) -> None:
        action = episode.action.copy()
        action[-1, 0] += 1e-6
        real(self, replace(episode, action=action))

    monkeypatch.setattr(LeRobotWriter, "write", changing)
    with pytest.raises(DataError, match="differs from its source") as caught:
        convert(source, tmp_path / "out")
    assert "action" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"instruction": "something else"},
        {"series": {}},
        {"time": np.arange(4.0)},
        {"images": {"front": ArrayImages(np.zeros((4, 24, 32, 3), np.uint8))}},
        {"metadata": {}},
        {"state": np.zeros((4, 5), np.float32)},
    ],
    ids=lambda c: next(iter(c)),
)
def test_every_difference_is_noticed(episodes: list[Episode], changes: dict[str, object]):
    ours, theirs = Source([episodes[0]]), Source([replace(episodes[0], **changes)])  # type: ignore[arg-type]
    compare_all([(ours, ours, [0])])
    with pytest.raises(DataError, match="differs from its source"):
        compare_all([(ours, theirs, [0])])


def test_equal_nan_is_equal_and_another_dtype_is_not(episodes: list[Episode]):
    series = {"x": np.array([np.nan, 1, 2, 3], np.float32)}
    one = Source([replace(episodes[0], series=series)])
    compare_all([(one, one, [0])])
    other = Source([replace(episodes[0], series={"x": series["x"].astype(np.float64)})])
    with pytest.raises(DataError, match="form"):
        compare_all([(one, other, [0])])


def test_what_makes_no_sense_is_refused_before_any_work(tmp_path: Path, source: Path):
    with pytest.raises(ConfigError, match="no video"):
        convert(source, tmp_path / "out", ConvertConfig("rlds", "video"))
    with pytest.raises(UnknownNameError, match="did you mean 'val'"):
        convert(source, tmp_path / "out", ConvertConfig(splits=("vall",)))
    with pytest.raises(ConfigError, match="already holds files"):
        convert(source, source)
    assert sorted(os.listdir(tmp_path)) == ["made_up"]


def test_a_data_set_without_a_train_split_is_converted_too(tmp_path: Path):
    write_dataset(tmp_path / "only_val", [make_episode(0, 2)], split="val")
    assert convert(tmp_path / "only_val", tmp_path / "out").splits == {"val": 1}
    assert len(open_episodes(tmp_path / "out", "val")) == 1
