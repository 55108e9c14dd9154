"""Every entry that claims so reads a data set of its published features, and says what it means."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.data.openx_synthetic import LEFT, RIGHT, SAID, STEPS, published, write_synthetic

from vla_data import open_episodes
from vla_data.formats.rlds import RldsReader, RldsWriter, finish_dataset
from vla_data.openx.entries import ENTRIES, LABS, find_standard
from vla_data.types import Episode

SYNTHETIC = sorted(name for name, entry in ENTRIES.items() if entry.status == "synthetic")
UNVERIFIED = {"bridge_oxe", "droid_wipe", "fmb_dataset", "rh20t", "robot_vqa", "roboset"}
UNVERIFIED |= {name for name in ENTRIES if name.startswith("tdroid_")}
X = "_converted_externally_to_rlds"

# How a data set stores a gripper, as its publisher or public code says: open, open, closed, closed.
STORED = {
    "open is 1": [1, 1, 0, 0],
    "closed is 1": [0, 0, 1, 1],
    "closed is 1, open -1": [-1, -1, 1, 1],
    "open is 1, closed -1": [1, 1, -1, -1],
    "changes, +1 closes": [0, 0, 1, 0],
}
CLOSEDNESS = "action/gripper_closedness_action"
WHERE = [
    ("changes, +1 closes", CLOSEDNESS, 0, "fractal20220817_data kuka jaco_play berkeley_autolab_ur5"),
    ("changes, +1 closes", CLOSEDNESS, 0, "nyu_door_opening_surprising_effectiveness"),
    ("changes, +1 closes", CLOSEDNESS, 0, "columbia_cairlab_pusht_real"),
    ("closed is 1", CLOSEDNESS, 0, "roboturk viola"),
    ("closed is 1", "action", 6, "stanford_hydra_dataset austin_buds_dataset austin_sailor_dataset"),
    ("closed is 1", "action", 6, "austin_sirius_dataset utaustin_mutex dlr_edan_shared_control"),
    ("closed is 1", "action", 6, "nyu_rot_dataset"),
    ("closed is 1", "action", 7, "furniture_bench_dataset berkeley_mvp berkeley_rpt"),
    ("closed is 1", "action", 3, "usc_cloth_sim"),
    ("closed is 1", "action/future/target_close", 0, "bc_z"),
    ("closed is 1", "observation/state", 6, "berkeley_fanuc_manipulation"),
    ("closed is 1", "action_dict/gripper_position", 0, "droid"),
    ("closed is 1, open -1", "action", 6, "libero_10_no_noops libero_goal_no_noops plex_robosuite"),
    ("closed is 1, open -1", "action", 6, "libero_object_no_noops libero_spatial_no_noops"),
    ("closed is 1, open -1", "action", 4, "stanford_mask_vit"),
    ("closed is 1, open -1", "action", 7, "robo_set"),
    ("open is 1, closed -1", "action", 6, "maniskill_dataset"),
    ("open is 1, closed -1", "action/rel_actions_world", 6, "taco_play"),
    ("open is 1", "action/open_gripper", 0, "bridge toto"),
    ("open is 1", "action", 6, "bridge_orig cmu_stretch dobbe imperialcollege_sawyer_wrist_cam"),
    ("open is 1", "action", 6, "asu_table_top cmu_franka_exploration_dataset tokyo_u_lsmo"),
    ("open is 1", "action", 6, "ucsd_kitchen_dataset utokyo_pr2_opening_fridge dlr_sara_pour"),
    ("open is 1", "action", 6, "utokyo_pr2_tabletop_manipulation dlr_sara_grid_clamp"),
    ("open is 1", "action", 7, "cmu_play_fusion cmu_playing_with_food iamlab_cmu_pickup_insert"),
    ("open is 1", "action", 13, "nyu_franka_play_dataset"),
    ("open is 1", "action", 3, "stanford_kuka_multimodal_dataset"),
]
GRIPPERS = {
    name if name in ENTRIES else name + X: (stored, key, column)
    for stored, key, column, names in WHERE
    for name in names.split()
}
SWAPPED = {
    "berkeley_autolab_ur5": ("hand_image",),
    "berkeley_fanuc_manipulation": ("image", "wrist_image"),
    f"stanford_hydra_dataset{X}": ("image", "wrist_image"),
    "utaustin_mutex": ("image", "wrist_image"),
}
UNITS = {f"maniskill_dataset{X}": 1 / 1024, f"nyu_franka_play_dataset{X}": 1e-3, "uiuc_d3field": 1e-3}
SILENT = {f"utokyo_saytap{X}", "eth_agent_affordances"}  # their frames are zeros, and not read


def read(root: Path, name: str, change=lambda values: None) -> tuple[RldsReader, Episode, dict]:
    swapped = tuple(f"steps/observation/{key}" for key in SWAPPED.get(name, ()))
    directory, values = write_synthetic(root, name, change, swapped)
    reader = open_episodes(directory)
    assert isinstance(reader, RldsReader)
    return reader, reader[0], values


def test_every_entry_says_how_far_it_was_checked():
    assert len(ENTRIES) == sum(len(lab.ENTRIES) for lab in LABS) == 86
    by_status = {s: {n for n, e in ENTRIES.items() if e.status == s} for s in ("real", "unverified")}
    assert by_status == {"real": {"bridge_dataset"}, "unverified": UNVERIFIED}
    assert set(SYNTHETIC) == set(published())
    assert all(entry.source for entry in ENTRIES.values())


@pytest.mark.parametrize("name", SYNTHETIC)
def test_an_entry_reads_its_published_features(tmp_path: Path, name: str):
    def close(values: dict) -> None:
        if name in GRIPPERS:
            stored, key, column = GRIPPERS[name]
            values[f"steps/{key}"].reshape(STEPS, -1)[:, column] = STORED[stored]

    reader, episode, _ = read(tmp_path, name, close)
    robot = reader.robot
    assert len(episode) == STEPS
    assert episode.action.shape == (STEPS, robot.action.dim)
    assert episode.state.shape == (STEPS, len(robot.state))
    assert (episode.action.dtype, episode.state.dtype) == (np.float32, np.float32)
    assert episode.instruction == SAID
    names = [d.name for d in robot.action.dims]
    assert len(set(names)) == len(names)
    assert ("gripper" in names and robot.action.gripper_closes is not None) == (name in GRIPPERS)
    if name in GRIPPERS:
        assert robot.action.gripper_closes == -1
        np.testing.assert_array_equal(episode.action[:, names.index("gripper")], [1, 1, 0, 0])
    check_pictures(reader, episode, name)
    check_series(reader.read_series(0), episode)


def check_pictures(reader: RldsReader, episode: Episode, name: str) -> None:
    assert bool(episode.images) == (name not in SILENT)
    for role, frames in episode.images.items():
        camera, frame = reader.cameras[role], frames[STEPS - 1]
        assert frame.shape == (camera.height, camera.width, 3)
        middle, quarter = camera.height // 2, camera.width // 4
        np.testing.assert_allclose(frame[middle, quarter].astype(int), LEFT, atol=3)
        np.testing.assert_allclose(frame[middle, 3 * quarter].astype(int), RIGHT, atol=3)
    again = pickle.loads(pickle.dumps(episode))
    for role, depth in episode.depth.items():
        assert (np.asarray(depth).shape, depth[0].dtype) == (depth.shape, np.float32)
        np.testing.assert_array_equal(again.depth[role][1], depth[1])


def check_series(series: Episode, episode: Episode) -> None:
    assert (series.images, series.depth) == ({}, {})
    np.testing.assert_array_equal(series.action, episode.action)
    np.testing.assert_array_equal(series.state, episode.state)
    assert set(series.series) == set(episode.series)


@pytest.mark.parametrize("name", sorted(n for n in SYNTHETIC if ENTRIES[n].depth))
def test_depth_is_in_metres(tmp_path: Path, name: str):
    reader, episode, values = read(tmp_path, name)
    assert list(episode.depth) == list(ENTRIES[name].depth)
    for role, depth in episode.depth.items():
        stored = np.asarray(values[f"steps/{reader.door.standard.depth[role].key}"][2])  # type: ignore[attr-defined]
        expected = stored.reshape(depth.shape[1:]).astype(np.float32) * np.float32(UNITS.get(name, 1.0))
        np.testing.assert_array_equal(depth[2], expected)
        np.testing.assert_array_equal(depth[1:3][1], expected)
        np.testing.assert_array_equal(np.asarray(depth)[2], expected)


def test_the_first_action_is_dropped_only_where_it_commands_nothing(tmp_path: Path):
    def still(values: dict) -> None:
        values["steps/action/world_vector"][0] = 0
        values["steps/action/rotation_delta"][0] = 0

    _, whole, values = read(tmp_path / "moving", "bridge")
    _, cut, _ = read(tmp_path / "still", "bridge", still)
    assert (len(whole), len(cut)) == (STEPS, STEPS - 1)
    np.testing.assert_array_equal(cut.action[:, :3], values["steps/action/world_vector"][1:])
    assert {len(v) for v in (*cut.images.values(), *cut.series.values(), cut.time, cut.state)} == {STEPS - 1}


# What the state is, as columns of what is stored.
STATES = {
    f"stanford_hydra_dataset{X}": [("observation/state", [0, 1, 2, 7, 8, 9, 24])],
    f"maniskill_dataset{X}": [("observation/tcp_pose", [0, 1, 2, 4, 5, 6, 3]), ("observation/state", [7, 8])],
    f"kaist_nonprehensile{X}": [
        ("observation/state", [*range(14, 21), *range(0, 14, 2), *range(1, 14, 2)])
    ],
    f"tokyo_u_lsmo{X}": [("observation/state", [0, 1, 2, 3, 4, 5, 12])],
    f"asu_table_top{X}": [("ground_truth_states/EE", list(range(6))), ("observation/state", [6])],
    "berkeley_autolab_ur5": [("observation/robot_state", list(range(6, 14)))],
    f"furniture_bench_dataset{X}": [("observation/state", [0, 1, 2, 3, 4, 5, 6, 34])],
    f"utokyo_xarm_bimanual{X}": [
        ("observation/pose_l", list(range(6))), ("observation/pose_r", list(range(6)))
    ],
    "kuka": [("observation/clip_function_input/base_pose_tool_reached", list(range(7))),
             ("observation/gripper_closed", [0])],
    "uiuc_d3field": [("observation/state", list(range(16)))],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(STATES))
def test_a_state_is_put_together_from_the_right_columns(tmp_path: Path, name: str):
    _, episode, values = read(tmp_path, name)
    parts = [values[f"steps/{key}"].reshape(STEPS, -1)[:, columns] for key, columns in STATES[name]]
    np.testing.assert_array_equal(episode.state, np.concatenate(parts, axis=1))


def test_what_was_converted_or_cut_is_kept_as_it_was_stored(tmp_path: Path):
    _, episode, values = read(tmp_path, f"nyu_franka_play_dataset{X}")
    np.testing.assert_array_equal(episode.series["action"], values["steps/action"])
    np.testing.assert_array_equal(episode.series["observation/state"], values["steps/observation/state"])
    _, whole, _ = read(tmp_path, "fractal20220817_data")
    assert "action/world_vector" not in whole.series
    stored = "action/gripper_closedness_action"
    assert whole.series[stored].shape == (STEPS, 1)


def test_other_wordings_are_kept_as_paraphrases(tmp_path: Path):
    def say(values: dict) -> None:
        values["steps/language_instruction_2"] = ["place the cup"] * STEPS
        values["steps/language_instruction_3"] = [""] * STEPS

    _, episode, _ = read(tmp_path, "droid", say)
    assert (episode.instruction, episode.paraphrases) == (SAID, ("place the cup",))


def test_roles_tell_every_key_that_is_read(tmp_path: Path):
    reader, _, _ = read(tmp_path, "berkeley_autolab_ur5")
    rows = {row.key: row.role for row in reader.feature_rows()}
    assert rows["steps/observation/hand_image"] == "camera wrist"
    assert rows["steps/observation/image_with_depth"] == "depth primary"
    assert rows["steps/action/gripper_closedness_action"] == "action"
    assert rows["steps/observation/robot_state"] == "state"
    assert rows["steps/observation/natural_language_instruction"] == "instruction"


def test_an_unknown_rate_is_marked(tmp_path: Path):
    assert read(tmp_path, "spoc")[0].rate_assumed
    assert not read(tmp_path, "viola")[0].rate_assumed


def test_data_without_an_action_has_steps_all_the_same(tmp_path: Path):
    reader, episode, _ = read(tmp_path, "tidybot")
    assert (episode.action.shape, episode.state.shape) == ((STEPS, 0), (STEPS, 0))
    assert reader.robot.action.dims == ()


@pytest.mark.parametrize("name", ["berkeley_autolab_ur5", f"maniskill_dataset{X}", "kuka", "tidybot"])
def test_a_standardised_episode_can_be_written_and_comes_back(tmp_path: Path, name: str):
    reader, episode, _ = read(tmp_path, name)
    directory = tmp_path / "copy" / "copied" / "1.0.0"
    with RldsWriter(directory, "copied", reader.robot, reader.cameras) as writer:
        writer.write(episode)
    finish_dataset(directory)
    again = RldsReader.open(directory)[0]
    for ours, theirs in ((again.action, episode.action), (again.state, episode.state)):
        np.testing.assert_array_equal(ours, theirs)
    assert set(again.series) == set(episode.series)
    for role, frames in episode.images.items():
        np.testing.assert_array_equal(again.images[role][0], frames[0])
    for role, depth in episode.depth.items():
        np.testing.assert_array_equal(again.depth[role], np.asarray(depth))


PEER = """
import sys
import numpy as np, tensorflow_datasets as tfds
for directory, key, file in zip(*[iter(sys.argv[1:])] * 3):
    builder = tfds.builder_from_directory(directory)
    episode = next(iter(builder.as_dataset(split="train")))
    values = []
    for step in tfds.as_numpy(episode["steps"]):
        for part in key.split("/"):
            step = step[part]
        values.append(step)
    np.save(file, np.stack(values))
"""


@pytest.mark.slow
def test_what_is_stored_is_what_tfds_reads(tmp_path: Path):
    """Depth as float32 and uint16 pictures, compressed tensors, code points, frames without an encoding."""
    cases = {
        "berkeley_autolab_ur5": "observation/image_with_depth",
        f"maniskill_dataset{X}": "observation/wrist_depth",
        "kuka": "observation/clip_function_input/base_pose_tool_reached",
        "language_table": "observation/instruction",
        "viola": "observation/eye_in_hand_rgb",
    }
    arguments, ours = [], {}
    for name, key in cases.items():
        directory, values = write_synthetic(tmp_path, name)
        ours[name] = np.stack(list(values[f"steps/{key}"]))
        arguments += [str(directory), key, str(tmp_path / f"{name}.npy")]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", PEER, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in cases:
        theirs = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(
            theirs.reshape(ours[name].shape), ours[name], atol=3 if name == "viola" else 0
        )


def test_a_public_euler_action_of_a_franka_means_the_same_in_two_labs():
    toto, play = find_standard("toto"), find_standard(f"nyu_franka_play_dataset{X}")
    assert toto is not None
    assert play is not None
    assert toto.robot.action.dims == play.robot.action.dims
    assert [d.split(":")[0] for d in toto.robot.action.differences(play.robot.action)] == ["control_hz"]
