"""LeRobotDataset v3: what lies in its files, data sets of others, lazy reading, and damaged files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.data.episodes import CAMERAS, ROBOT, assert_same, make_episode

from vla_data import open_episodes
from vla_data.errors import ConfigError, DataError
from vla_data.formats.lerobot import LeRobotReader, LeRobotWriter, frames, parquet, rolling
from vla_data.formats.lerobot.columns import to_arrow, to_numpy
from vla_data.formats.lerobot.statistics import colour_counts, colour_stats, number_stats
from vla_data.images import EncodedImages, encode
from vla_data.types import ArrayImages, Camera, Episode, SubStep

LENGTHS = (4, 7, 3)


def written(directory: Path, episodes: list[Episode] | None = None, **options: object) -> Path:
    """A data set of ours."""
    episodes = episodes or [make_episode(i, n) for i, n in enumerate(LENGTHS)]
    with LeRobotWriter(directory, "made_up", ROBOT, CAMERAS, **options) as writer:  # type: ignore[arg-type]
        for episode in episodes:
            writer.write(episode)
    return directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(tmp_path / "set")


def change_info(root: Path, **changes: object) -> None:
    """Edit info.json; keys of features as `features__<key>`."""
    path = root / "meta/info.json"
    info = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps(info))


def foreign(root: Path) -> Path:
    """The same data set as if others had written it."""
    (root / "meta/vla.json").unlink()
    return root


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], group: int | None = None) -> None:
    """A Parquet file with its table changed, in row groups of `group` rows."""
    pq.write_table(change(pq.read_table(path)), path, row_group_size=group)


def test_the_files_are_those_of_the_format(root: Path):
    info = json.loads((root / "meta/info.json").read_bytes())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 10, "arm")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, sum(LENGTHS), 3)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["action"] == {
        "dtype": "float32",
        "shape": [4],
        "names": ["x", "y", "z", "gripper"],
    }
    assert info["features"]["observation.images.front"]["shape"] == [24, 32, 3]
    assert not [key for key in info["features"] if "/" in key]
    data = pq.ParquetFile(root / "data/chunk-000/file-000.parquet")
    assert [data.metadata.row_group(i).num_rows for i in range(3)] == list(LENGTHS)
    assert set(data.schema_arrow.names) == set(info["features"])
    table = data.read()
    assert table["index"].to_pylist() == list(range(sum(LENGTHS)))
    stamps = [i / 10 for n in LENGTHS for i in range(n)]
    np.testing.assert_array_equal(table["timestamp"].to_numpy(), np.array(stamps, np.float32))
    row = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()[1]
    assert (row["length"], row["dataset_from_index"], row["dataset_to_index"]) == (7, 4, 11)
    assert row["tasks"] == ["Schließe die Tür 1"]
    tasks = pq.read_table(root / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]


def test_statistics_are_those_of_numpy(root: Path):
    stats = json.loads((root / "meta/stats.json").read_bytes())
    action = np.concatenate([make_episode(i, n).action for i, n in enumerate(LENGTHS)]).astype(np.float64)
    for name, expected in {
        "mean": action.mean(0),
        "std": action.std(0),
        "q10": np.quantile(action, 0.1, axis=0),
    }.items():
        np.testing.assert_allclose(stats["action"][name], expected)
    assert stats["action"]["count"] == [sum(LENGTHS)]
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1)
    assert "depth.front" not in stats


@example(np.full((2, 5, 4, 3), 29, np.uint8))
@given(hnp.arrays(np.uint8, (2, 5, 4, 3)))
def test_colour_statistics_are_those_of_the_pixels(pixels: np.ndarray):
    found = colour_stats(colour_counts(ArrayImages(pixels)), 2)
    flat = pixels.reshape(-1, 3) / 255
    np.testing.assert_allclose(np.ravel(found["mean"]), flat.mean(0))
    np.testing.assert_allclose(np.ravel(found["std"]), flat.std(0), atol=1e-9)
    np.testing.assert_allclose(np.ravel(found["min"]), flat.min(0))
    np.testing.assert_allclose(np.ravel(found["max"]), flat.max(0))
    below = np.quantile(flat, 0.5, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(np.ravel(found["q50"]), below)


def test_a_series_of_nan_has_statistics_that_json_can_hold():
    found = number_stats(np.array([np.nan, np.inf, 1.0]))
    json.dumps(found, allow_nan=False)


NUMBERS = st.sampled_from([np.float32, np.float64, np.float16, np.int8, np.int64, np.uint32, np.bool_])
ARRAYS = NUMBERS.flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
)


@given(ARRAYS)
def test_columns_come_back_bit_for_bit(values: np.ndarray):
    column = pa.chunked_array([to_arrow(values)])
    back = to_numpy(column, values.dtype.name, values.shape[1:], "here")
    assert back.tobytes() == np.ascontiguousarray(values).tobytes()
    half = to_numpy(column.slice(len(values) // 2), values.dtype.name, values.shape[1:], "here")
    assert half.tobytes() == np.ascontiguousarray(values[len(values) // 2 :]).tobytes()


def test_a_column_with_nulls_or_of_another_width_is_refused():
    for column, shape in ((pa.array([1.0, None]), ()), (pa.array([[1.0], [2.0, 3.0]]), (2,))):
        with pytest.raises(DataError, match="do not fill its shape"):
            to_numpy(pa.chunked_array([column]), "float64", shape, "here")


def test_encoded_frames_are_passed_on_as_they_are(tmp_path: Path):
    episode = make_episode(0, 3)
    jpeg = {n: EncodedImages([encode(f[i], "jpeg") for i in range(3)]) for n, f in episode.images.items()}
    read = LeRobotReader.open(written(tmp_path / "set", [replace(episode, images=jpeg)], images="keep"))[0]
    for name, theirs in jpeg.items():
        assert list(read.images[name].frames) == list(theirs.frames)  # type: ignore[attr-defined]


def test_splits_follow_one_another_and_files_roll_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rolling, "MB", 10)  # every episode begins a file
    monkeypatch.setattr(rolling, "CHUNK", 2)
    episodes = [make_episode(i, 3) for i in range(5)]
    for images in ("png", "video"):
        with LeRobotWriter(tmp_path / images, "made_up", ROBOT, CAMERAS, images=images) as writer:
            for episode in episodes[:3]:
                writer.write(episode)
            writer.begin_split("val")
            for episode in episodes[3:]:
                writer.write(episode)
        train, val = (LeRobotReader.open(tmp_path / images, split) for split in ("train", "val"))
        for i, episode in enumerate(episodes):
            assert_same(train[i] if i < 3 else val[i - 3], episode, pixels=images == "png")
        assert len(list((tmp_path / images).glob("data/chunk-00*/*.parquet"))) == 5
        assert [(r.name, r.episodes) for r in train.split_rows()] == [("train", 3), ("val", 2)]
        total = sum(
            p.stat().st_size for k in ("parquet", "mp4") for p in (tmp_path / images).rglob(f"file-*.{k}")
        )
        total -= (tmp_path / images / "meta/episodes/chunk-000/file-000.parquet").stat().st_size
        assert abs(sum(r.bytes for r in train.split_rows()) - total) <= 2


def test_video_frames_are_found_wherever_one_looks(tmp_path: Path):
    rng = np.random.default_rng(0)
    steps = 40
    levels = rng.permutation(np.linspace(20, 235, steps)).astype(np.uint8)
    flat = {
        n: np.broadcast_to(levels[:, None, None, None], (steps, c.height, c.width, 3))
        for n, c in CAMERAS.items()
    }
    images = {n: ArrayImages(np.ascontiguousarray(f)) for n, f in flat.items()}
    episodes = [make_episode(0, 5), replace(make_episode(1, steps), images=images)]
    episode = LeRobotReader.open(written(tmp_path / "set", episodes, images="video"))[1]
    order = rng.permutation(steps)
    for i in [*order, *range(steps), *reversed(range(steps))]:
        for name in CAMERAS:
            assert abs(episode.images[name][int(i)].mean() - levels[i]) < 3


def test_series_are_read_without_images_or_depth(root: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    read = parquet.read_rows

    def spy(path: Path, columns: list[str], start: int, stop: int) -> pa.Table:
        asked.extend(columns)
        return read(path, columns, start, stop)

    monkeypatch.setattr("vla_data.formats.lerobot.reader.read_rows", spy)
    monkeypatch.setattr(frames, "read_rows", spy)
    reader = LeRobotReader.open(root)
    assert not reader.read_series(1).images
    assert not [c for c in asked if "images" in c or "depth" in c]
    assert reader[1].images["front"][0].shape == (24, 32, 3)
    assert "observation.images.front" in asked
    assert "observation.images.wrist" not in asked  # nobody looked


def test_substeps_become_subtasks(tmp_path: Path):
    episode = make_episode(2, 6, substeps=(SubStep(0, 2, "reach"), SubStep(3, 6, "close")))
    root = written(tmp_path / "set", [episode])
    assert LeRobotReader.open(root)[0].substeps == episode.substeps
    assert LeRobotReader.open(foreign(root))[0].substeps == episode.substeps


def test_a_data_set_of_others_is_read_by_its_names(tmp_path: Path):
    root = foreign(written(tmp_path / "theirs"))
    reader = LeRobotReader.open(root)
    assert (reader.name, reader.robot.name, reader.robot.action.control_hz) == ("theirs", "arm", 10.0)
    assert [d.name for d in reader.robot.action.dims] == ["x", "y", "z", "gripper"]
    assert {d.quantity for d in reader.robot.action.dims} == {"other"}
    assert [d.name for d in reader.robot.state] == [f"s{i}" for i in range(5)]
    episode, source = reader[1], make_episode(1, LENGTHS[1])
    assert episode.instruction == source.instruction
    np.testing.assert_array_equal(episode.time, np.arange(LENGTHS[1]) / 10)
    np.testing.assert_array_equal(episode.series["reward"], source.series["reward"], strict=True)
    np.testing.assert_array_equal(episode.images["front"][2], source.images["front"][2])
    roles = {row.key: row.role for row in reader.feature_rows()}
    assert roles["observation.images.wrist"] == "camera wrist"
    assert not reader.rate_assumed


def test_names_in_groups_tasks_that_change_and_odd_times_of_others(tmp_path: Path):
    root = foreign(written(tmp_path / "theirs"))
    path = root / "meta/info.json"
    info = json.loads(path.read_bytes())
    info["features"]["action"]["names"] = {"motors": ["a", "b", "c", "d"]}
    info["features"]["observation.state"]["names"] = ["too", "few"]
    path.write_text(json.dumps(info))

    def odd(table: pa.Table) -> pa.Table:
        stamps = table["timestamp"].to_numpy().copy()
        stamps[:4] = [5.0, 5.2, 5.25, 6.0]
        task = table["task_index"].to_numpy().copy()
        task[2:4] = 2
        table = table.set_column(table.column_names.index("timestamp"), "timestamp", pa.array(stamps))
        return table.set_column(table.column_names.index("task_index"), "task_index", pa.array(task))

    rewrite(root / "data/chunk-000/file-000.parquet", odd)
    reader = LeRobotReader.open(root)
    assert [d.name for d in reader.robot.action.dims] == ["a", "b", "c", "d"]
    assert reader.robot.state[0].name == "state_0"
    first = reader[0]
    np.testing.assert_allclose(first.time, [0, 0.2, 0.25, 1.0], atol=1e-6)
    assert [(s.start, s.stop, s.text[-1]) for s in first.substeps] == [(0, 2, "0"), (2, 4, "2")]


@settings(max_examples=6)
@given(group=st.integers(1, 20))
def test_row_groups_may_be_of_any_size(tmp_path_factory: pytest.TempPathFactory, group: int):
    root = foreign(written(tmp_path_factory.mktemp("groups") / "set"))
    rewrite(root / "data/chunk-000/file-000.parquet", lambda table: table, group)
    reader = LeRobotReader.open(root)
    for i, steps in enumerate(LENGTHS):
        source = make_episode(i, steps)
        np.testing.assert_array_equal(reader[i].action, source.action)
        np.testing.assert_array_equal(reader[i].images["wrist"][steps - 1], source.images["wrist"][steps - 1])


@pytest.mark.parametrize(
    "template",
    [
        "../data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "/etc/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "data/{chunk_index.__class__}.parquet",
        "data/{chunk_index:999999999d}.parquet",
        "data/{other}.parquet",
    ],
)
def test_templates_that_lead_elsewhere_are_refused(root: Path, template: str):
    change_info(foreign(root), data_path=template)
    with pytest.raises(DataError, match=r"leads out of its directory|template that is not one"):
        LeRobotReader.open(root)


@pytest.mark.parametrize("name", ["data", "data/chunk-000", "meta/episodes", "meta/tasks.parquet"])
def test_links_out_of_the_root_are_refused(root: Path, tmp_path: Path, name: str):
    shutil.move(root / name, tmp_path / "elsewhere")
    (root / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of its directory"):
        LeRobotReader.open(foreign(root))[0]


def test_another_version_says_how_to_convert_it(root: Path):
    change_info(root, codebase_version="v2.1")
    with pytest.raises(DataError, match="convert_dataset_v21_to_v30"):
        open_episodes(root)


@pytest.mark.parametrize(
    "changes", [{"fps": 0}, {"features": None}, {"total_episodes": "many"}, {"splits": {"train": "0:9"}}]
)
def test_an_info_that_lacks_something_is_refused(root: Path, changes: dict[str, object]):
    change_info(root, **changes)
    with pytest.raises(DataError, match=r"info\.json"):
        LeRobotReader.open(root)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "name",
    ["data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"],
)
def test_truncated_files_are_named(root: Path, name: str, native: bool):
    if not native:
        foreign(root)
    os.truncate(root / name, (root / name).stat().st_size // 2)
    with pytest.raises(DataError, match=r"cannot be read|not as it was written") as caught:
        LeRobotReader.open(root)[0]
    assert name.split("/")[0] in str(caught.value)


def test_a_flipped_byte_is_noticed(root: Path):
    path = root / "data/chunk-000/file-000.parquet"
    meta = pq.ParquetFile(path).metadata.row_group(1)
    columns = {meta.column(i).path_in_schema: meta.column(i) for i in range(meta.num_columns)}
    for column in ("action.list.element", "observation.images.front.bytes"):
        data = bytearray(path.read_bytes())
        at = columns[column].data_page_offset + columns[column].total_compressed_size - 9
        data[at] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(DataError):
            LeRobotReader.open(root)[1].images["front"][6]
        data[at] ^= 0xFF
        path.write_bytes(data)
    LeRobotReader.open(root)[1]


def test_a_truncated_video_names_the_frame(tmp_path: Path):
    root = foreign(written(tmp_path / "set", [make_episode(0, 30)], images="video"))
    path = root / "videos/observation.images.front/chunk-000/file-000.mp4"
    os.truncate(path, path.stat().st_size // 2)
    episode = LeRobotReader.open(root)[0]
    with pytest.raises(DataError, match="video cannot be decoded") as caught:
        [episode.images["front"][i] for i in range(30)]
    assert "frame " in str(caught.value)
    path.write_bytes(b"no video at all")
    with pytest.raises(DataError, match="video cannot be decoded"):
        LeRobotReader.open(root)[0].images["front"][0]
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        LeRobotReader.open(root)


def test_tables_that_disagree_are_named(root: Path):
    foreign(root)
    table = root / "meta/episodes/chunk-000/file-000.parquet"
    original = table.read_bytes()

    def with_lengths(values: list[int]) -> Callable[[pa.Table], pa.Table]:
        return lambda t: t.set_column(t.column_names.index("length"), "length", pa.array(values))

    rewrite(table, with_lengths([4, 7, 9]))
    with pytest.raises(DataError, match="another number of rows"):
        LeRobotReader.open(root)[0]
    rewrite(table, with_lengths([9, 7, 3]))
    with pytest.raises(DataError, match="rows that two episodes claim"):
        LeRobotReader.open(root)
    table.write_bytes(original)
    change_info(root, total_episodes=2, splits={})
    with pytest.raises(DataError, match="2 episodes"):
        LeRobotReader.open(root)


def test_a_task_that_is_nowhere_and_rows_of_another_episode_are_named(root: Path):
    foreign(root)
    for column, match in (("task_index", "not in the table of tasks"), ("episode_index", "another's")):
        path = root / "data/chunk-000/file-000.parquet"
        original = path.read_bytes()
        rewrite(path, lambda t, c=column: t.set_column(t.column_names.index(c), c, pa.array([77] * len(t))))
        with pytest.raises(DataError, match=match):
            LeRobotReader.open(root)[0]
        path.write_bytes(original)


def test_images_outside_their_file_and_of_another_size_are_refused(root: Path):
    path, key = root / "data/chunk-000/file-000.parquet", "observation.images.front"
    small = encode(np.zeros((8, 8, 3), np.uint8), "png")

    def replaced(row: dict[str, object]) -> Callable[[pa.Table], pa.Table]:
        return lambda t: t.set_column(t.column_names.index(key), key, pa.array([row] * len(t)))

    foreign(root)
    for row, match in (
        ({"bytes": None, "path": "/etc/passwd"}, "not embedded"),
        ({"bytes": small, "path": None}, "another size"),
    ):
        rewrite(path, replaced(row))
        with pytest.raises(DataError, match=match):
            LeRobotReader.open(root)[0].images["front"][0]


def test_a_row_group_that_claims_gigabytes_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parquet, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="too large"):
        LeRobotReader.open(root)


def test_a_changed_file_of_ours_is_noticed_at_once(root: Path):
    path = root / "meta/tasks.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError, match="not as it was written"):
        LeRobotReader.open(root)


@pytest.mark.parametrize(
    ("series", "match"),
    [
        ({"words": np.array(["a", "b"])}, "cannot be written"),
        ({"deep": np.zeros((2, 1, 1, 1, 1, 1, 1))}, "cannot be written"),
    ],
)
def test_columns_the_format_cannot_hold_are_refused(
    tmp_path: Path, series: dict[str, np.ndarray], match: str
):
    with pytest.raises(DataError, match=match):
        written(tmp_path / "set", [make_episode(0, 2, series=series)])
    assert not list(tmp_path.iterdir())


def test_series_without_a_number_and_with_nan_come_back(tmp_path: Path):
    series = {
        "none": np.zeros((3, 0), np.int16),
        "some": np.array([np.nan, np.inf, -0.0]),
        "a.b": np.ones(3),
        "a/b": np.zeros(3),
    }
    episode = make_episode(0, 3, series=series)
    assert_same(LeRobotReader.open(written(tmp_path / "set", [episode]))[0], episode)


def test_a_writer_leaves_other_peoples_files_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="something else"):
        LeRobotWriter(tmp_path, "made_up", ROBOT, CAMERAS)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    camera = Camera("a/b", 4, 4)
    with pytest.raises(ConfigError, match="camera of that name"):
        LeRobotWriter(tmp_path / "new", "made_up", ROBOT, {"a/b": camera})


def test_odd_frames_make_no_video_and_nothing_stays(tmp_path: Path):
    cameras = {"front": Camera("front", 31, 24)}
    images = {"front": ArrayImages(np.zeros((2, 24, 31, 3), np.uint8))}
    episode = make_episode(0, 2, images=images, cameras=cameras, depth={})
    with (
        pytest.raises(DataError, match="do not make a video"),
        LeRobotWriter(tmp_path / "set", "made_up", ROBOT, cameras, images="video") as writer,
    ):
        writer.write(episode)
    assert not list(tmp_path.iterdir())
