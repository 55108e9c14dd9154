"""HDF5 of robomimic and LIBERO: what the files say is what comes out, and what leads elsewhere is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
from tests.data.demonstrations import add_demo, picture, write_libero, write_robomimic

from vla_data import open_episodes
from vla_data.errors import DataError, UnknownNameError
from vla_data.explore import inspect, stats
from vla_data.formats.hdf5 import Hdf5Reader, store


def changed(path: Path, mode: Literal["a", "r"] = "a") -> Any:
    """A file opened to be changed, or looked into, once the readers let go of it."""
    store.close_all()
    return h5py.File(path, mode)


@pytest.fixture
def lift(tmp_path: Path) -> Path:
    return write_robomimic(tmp_path / "lift.hdf5")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_libero(tmp_path / "suite")


def test_robomimic_reads_as_it_was_written(lift: Path):
    reader = open_episodes(lift)
    assert isinstance(reader, Hdf5Reader)
    with changed(lift, "r") as file:
        demo = file["data/demo_9"]
        episode = reader[9]
        np.testing.assert_array_equal(episode.action, demo["actions"][()].astype(np.float32))
        state = [demo[f"obs/robot0_{k}"][()] for k in ("eef_pos", "eef_quat", "gripper_qpos")]
        np.testing.assert_array_equal(episode.state, np.concatenate(state, 1).astype(np.float32))
        np.testing.assert_array_equal(episode.series["object"], demo["obs/object"][()], strict=True)
        np.testing.assert_array_equal(episode.series["reward"], demo["rewards"][()], strict=True)
        np.testing.assert_array_equal(episode.images["primary"][4], demo["obs/agentview_image"][4])
    assert episode.id == "demo_9"
    assert not episode.depth  # a renderer's buffer is no depth in metres
    assert sorted(episode.series) == ["done", "object", "reward"]
    np.testing.assert_array_equal(episode.time, np.arange(len(episode)) / 20)


def test_the_controller_says_what_an_action_means(lift: Path):
    robot = open_episodes(lift).robot
    assert (robot.name, robot.action.control_hz, robot.action.gripper_closes) == ("robosuite-panda", 20.0, 1)
    assert [d.scale for d in robot.action.dims] == [0.05, 0.05, 0.05, 0.5, 0.5, 0.5, 1.0]
    assert robot.action.dims[0].mode == "delta"
    with changed(lift) as file:
        file["data"].attrs["env_args"] = json.dumps({"env_kwargs": {"controller_configs": {"type": "JOINT"}}})
    reader = open_episodes(lift)
    assert {d.quantity for d in reader.robot.action.dims} == {"other"}
    assert reader.rate_assumed


def test_masks_are_splits(lift: Path):
    assert (len(open_episodes(lift, "train")), len(open_episodes(lift, "valid"))) == (10, 2)
    assert [open_episodes(lift, "valid")[i].id for i in range(2)] == ["demo_10", "demo_11"]
    with pytest.raises(UnknownNameError, match="did you mean 'valid'"):
        open_episodes(lift, "vald")
    assert {r.name: r.episodes for r in open_episodes(lift).split_rows()} == {"train": 10, "valid": 2}
    with changed(lift) as file:
        file["mask/broken"] = np.array([b"demo_99"])
    with pytest.raises(DataError, match="not there"):
        open_episodes(lift)


def test_libero_is_upright_and_means_what_the_simulator_means(suite: Path):
    from vla_data.sim.libero import ROBOT

    reader = open_episodes(suite)
    assert reader.robot == ROBOT
    assert [reader[i].id for i in range(4)][:3:2] == [
        "KITCHEN_SCENE0_open_drawer_0_demo/demo_0",
        "KITCHEN_SCENE1_open_drawer_1_demo/demo_0",
    ]
    assert [reader[i].instruction for i in (0, 3)] == ["open drawer 0", "open drawer 1"]
    assert sorted(reader.cameras) == ["primary", "wrist"]
    episode = reader[1]
    expected = episode.images["primary"][2]
    with changed(suite / "KITCHEN_SCENE0_open_drawer_0_demo.hdf5", "r") as file:
        stored = file["data/demo_1/obs/agentview_rgb"][2]
    np.testing.assert_array_equal(expected, stored[::-1])
    assert (episode.images["primary"][2][-1] == 255).all()
    assert episode.metadata["image_rows"] == "stored bottom up, turned upright"


def test_what_a_libero_file_leaves_out_is_found_in_its_name(suite: Path):
    for path in suite.iterdir():
        with changed(path) as file:
            for name in ("problem_info", "macros_image_convention", "env_args"):
                del file["data"].attrs[name]
    reader = open_episodes(suite)
    assert reader[0].instruction == "open drawer 0"
    assert (reader[0].images["wrist"][0][-1] == 255).all()
    assert not reader.rate_assumed


def test_inspect_and_stats_look_into_them(lift: Path, suite: Path):
    model = inspect(suite)
    assert (model.format, model.control_hz) == ("hdf5", 20.0)
    rows = {r.key: r for r in model.features}
    assert rows["obs/agentview_rgb"].role == "camera primary"
    assert rows["obs/ee_states"].role == "state"
    assert rows["states"].role == ""
    found = stats([lift, suite])
    assert [s.episodes for s in found] == [10, 4]


def test_links_into_other_files_are_refused(suite: Path, tmp_path: Path):
    path = next(suite.iterdir())
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["actions"] = np.ones((4, 7))
    for link, match in (
        (h5py.ExternalLink(str(tmp_path / "secret.h5"), "/actions"), "ExternalLink"),
        (h5py.SoftLink("/data/demo_0/loop"), "SoftLink"),
    ):
        with changed(path) as file:
            demo = file["data/demo_0"]
            for name in ("actions", "loop"):
                if name in demo:
                    del demo[name]
            demo["actions"] = link
            demo["loop"] = h5py.SoftLink("/data/demo_0/actions")
        with pytest.raises(DataError, match="leads out of its file") as caught:
            open_episodes(path)[0]
        assert match in str(caught.value)


def test_values_kept_in_other_files_are_refused(suite: Path, tmp_path: Path):
    path = next(suite.iterdir())
    np.ones((4, 7)).tofile(tmp_path / "raw.bin")
    with changed(path) as file:
        demo = file["data/demo_0"]
        del demo["actions"]
        demo.create_dataset(
            "actions", (4, 7), "f8", external=[(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        )
    with pytest.raises(DataError, match="leads out of its file"):
        open_episodes(path)[0]
    layout = h5py.VirtualLayout((4, 7), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "x.h5"), "y", (4, 7))
    with changed(path) as file:
        del file["data/demo_0/actions"]
        file["data/demo_0"].create_virtual_dataset("actions", layout)
    with pytest.raises(DataError, match="virtual"):
        open_episodes(path)[0]


def test_links_inside_a_file_are_followed(suite: Path):
    path = next(suite.iterdir())
    with changed(path) as file:
        file.move("data/demo_0/actions", "kept/actions")
        file["data/demo_0/actions"] = h5py.SoftLink("/kept/actions")
    assert len(open_episodes(path)[0]) == 4


def test_a_file_linked_from_elsewhere_is_refused(suite: Path, tmp_path: Path):
    (suite / "more.hdf5").symlink_to(write_robomimic(tmp_path / "outside.hdf5", 1))
    with pytest.raises(DataError, match="leads out of its directory"):
        open_episodes(suite)


def test_damaged_files_are_named(lift: Path, suite: Path, tmp_path: Path):
    os.truncate(lift, lift.stat().st_size // 2)
    with pytest.raises(DataError, match="cannot be read"):
        open_episodes(lift)
    (tmp_path / "text.hdf5").write_text("no hdf5")
    with pytest.raises(DataError, match="cannot be read"):
        open_episodes(tmp_path / "text.hdf5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="no demonstration"):
        open_episodes(tmp_path / "other.h5")
    with h5py.File(next(iter(sorted(suite.iterdir()))), "a") as file:
        file["data"].attrs["env_args"] = "{"
    with pytest.raises(DataError, match="not JSON"):
        open_episodes(suite)[0]


def test_lengths_that_disagree_are_named(suite: Path):
    path = min(suite.iterdir())
    with changed(path) as file:
        file["data/demo_0"].attrs["num_samples"] = 99
        frames = picture(np.random.default_rng(0), 2, 16, 16)
        del file["data/demo_1/obs/agentview_rgb"]
        file["data/demo_1/obs/agentview_rgb"] = frames
    reader = open_episodes(path)
    with pytest.raises(DataError, match="another number of steps"):
        reader.read_series(0)
    assert len(reader.read_series(1)) == 5
    with pytest.raises(DataError, match="do not fit"):
        reader[1]


def test_a_demonstration_of_another_width_is_named(lift: Path):
    with changed(lift) as file:
        del file["data/demo_3/actions"]
        file["data/demo_3/actions"] = np.zeros((6, 5))
        del file["data/demo_4/rewards"]
    reader = open_episodes(lift)
    with pytest.raises(DataError, match="another action or state"):
        reader[3]
    with pytest.raises(DataError, match="lacks a data set"):
        reader[4]


def test_what_claims_to_be_huge_is_refused(suite: Path, monkeypatch: pytest.MonkeyPatch):
    path = min(suite.iterdir())
    with changed(path) as file:
        del file["data/demo_0/rewards"]
        file["data/demo_0"].create_dataset(
            "rewards", (1 << 40,), "f8", chunks=(1 << 10,)
        )  # some bytes on disk
    with pytest.raises(DataError, match="larger than it can rightly be"):
        open_episodes(path).read_series(0)
    monkeypatch.setattr(store, "MAX_TEXT", 10)
    with pytest.raises(DataError, match="too large"):
        open_episodes(path)[1]


def test_files_of_one_directory_share_what_all_of_them_have(suite: Path):
    with h5py.File(suite / "third_demo.hdf5", "w") as file:
        rng = np.random.default_rng(0)
        seen = {name: rng.normal(size=(3, n)) for name, n in (("ee_states", 6), ("gripper_states", 2))}
        add_demo(file.create_group("data"), 0, 3, {"agentview_rgb": picture(rng, 3, 16, 16), **seen})
    reader = open_episodes(suite)
    assert len(reader) == 5
    assert sorted(reader.cameras) == ["primary"]
    assert all(sorted(reader[i].series) == ["done", "reward"] for i in range(5))
