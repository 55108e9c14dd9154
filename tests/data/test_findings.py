"""Every warning of `inspect`: found where it was put, and silent on sound episodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.episodes import CAMERAS, ROBOT, make_episode, write_dataset

from vla_data.errors import DataError
from vla_data.explore import inspect, stats
from vla_data.explore.looks import Looks
from vla_data.explore.series_checks import SeriesChecks
from vla_data.formats.rlds import RldsReader
from vla_data.images import EncodedImages, encode
from vla_data.types import ArrayImages, Episode


def series_warnings(episodes: list[Episode], rate_assumed: bool = False) -> list[str]:
    checks = SeriesChecks(ROBOT)
    for i, episode in enumerate(episodes):
        checks.add(i, episode)
    return list(checks.warnings(rate_assumed))


def look_warnings(episodes: list[Episode]) -> list[str]:
    looks = Looks()
    for i, episode in enumerate(episodes):
        looks.add(i, episode)
    return list(looks.warnings())


def with_gripper(*values: float) -> Episode:
    episode = make_episode(0, len(values))
    action = episode.action.copy()
    action[:, 3] = values
    return replace(episode, action=action)


def test_sound_episodes_raise_no_warning():
    sound = [make_episode(i, 6) for i in range(8)]
    assert series_warnings(sound) == []
    assert look_warnings(sound) == []


def test_time_that_runs_backwards_or_is_not_finite():
    back = replace(make_episode(1, 4), time=np.array([0.0, 0.1, 0.05, 0.2]))
    lost = replace(make_episode(2, 4), time=np.array([0.0, np.nan, 0.2, 0.3]))
    warnings = series_warnings([make_episode(0, 4), back, lost])
    assert "time runs backwards in 1 of 3 episodes, the first is 1" in warnings
    assert "time holds NaN or Inf in 1 of 3 episodes, the first is 2" in warnings


def test_episodes_without_motion_are_counted_by_length():
    empty, short = make_episode(0, 0), make_episode(1, 1)
    warnings = series_warnings([empty, short, short, make_episode(2, 5)])
    assert "1 of 4 episodes have 0 steps: they hold no motion" in warnings
    assert "2 of 4 episodes have 1 step: they hold no motion" in warnings


def test_some_silent_episodes():
    warnings = series_warnings([make_episode(0, 4), make_episode(1, 4, instruction=" ")])
    assert warnings == ["1 of 2 episodes have no instruction"]


def test_another_rate_than_declared():
    slow = [replace(make_episode(i, 4), time=np.arange(4) / 2.0) for i in range(2)]
    assert series_warnings(slow) == ["a step takes 0.5 s, 2 Hz, where 10 Hz is declared"]
    assert series_warnings(slow, rate_assumed=True) == []


@pytest.mark.parametrize(("grasps", "suspected"), [(5, True), (4, False)])
def test_a_gripper_that_opens_before_it_ever_closes(grasps: int, suspected: bool):
    """The robot's entry says +1 closes."""
    opening = [with_gripper(1, 1, -1, -1, 1) for _ in range(grasps)]
    still = [with_gripper(1, 1, 1, 1, 1) for _ in range(5)]
    assert (
        any("suspicion: the gripper's sign is inverted" in w for w in series_warnings(opening + still))
        == suspected
    )
    closing = [with_gripper(-1, -1, 1, 1, -1) for _ in range(grasps)]
    assert series_warnings(closing + still) == []


def test_a_relative_gripper_is_judged_by_its_first_command():
    dims = (*ROBOT.action.dims[:3], replace(ROBOT.action.dims[3], mode="delta"))
    checks = SeriesChecks(replace(ROBOT, action=replace(ROBOT.action, dims=dims)))
    for i in range(6):
        checks.add(i, with_gripper(0, 0, -1, 0, 1))
    assert any("6 of 6 episodes open it" in w for w in checks.warnings(False))


def test_no_suspicion_on_the_bridge_episodes(shared: Path):
    assert not any("suspicion" in w for w in inspect(shared / "data/rlds").warnings)


def test_frames_of_several_sizes():
    frames = [np.full((24, 32, 3), 9, np.uint8), np.full((48, 64, 3), 9, np.uint8)]
    mixed = EncodedImages([encode(frames[i % 2], "png") for i in range(4)])
    warnings = look_warnings([make_episode(0, 4, images={"front": mixed})])
    assert warnings == ["camera front changes its size: 32×24 (2), 64×48 (1) of 3 frames looked at"]


def test_frames_of_another_size_than_the_camera_says_are_one_warning():
    frames = EncodedImages([encode(np.ones((8, 8, 3), np.uint8), "png")] * 4, "here", (24, 32))
    (warning,) = look_warnings([make_episode(i, 4, images={"front": frames}) for i in range(3)])
    assert warning.startswith(
        "camera front: a frame of another size than its camera in 9 of 9 frames looked at"
    )
    assert "here, frame 0" in warning


def test_an_exchanged_camera_is_named():
    rng = np.random.default_rng(0)

    def scene() -> np.ndarray:
        picture = np.full((24, 32, 3), (200, 120, 60), np.uint8)
        picture[rng.integers(0, 20) :, :12] = (40, 90, 60)
        return picture

    def episode(i: int) -> Episode:
        images = {n: ArrayImages(np.stack([scene() for _ in range(4)])) for n in ("a", "b", "c")}
        images["b"] = ArrayImages(images["b"].frames[..., ::-1])
        return make_episode(i, 4, images=images)

    (warning,) = look_warnings([episode(i) for i in range(3)])
    assert warning.startswith("suspicion: camera b has red and blue exchanged")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Three episodes, the second one's record changed by a byte."""
    directory = write_dataset(tmp_path, [make_episode(i, 4) for i in range(3)])
    (shard,) = directory.glob("*.tfrecord*")
    file = RldsReader.open(directory)._shard(0)
    data = bytearray(shard.read_bytes())
    start = int(file.offsets[1])
    data[start : start + 8] = b"\xff" * 8
    shard.write_bytes(bytes(data))
    return directory


def test_a_damaged_episode_stops_or_is_counted(damaged: Path):
    with pytest.raises(DataError) as caught:
        inspect(damaged)
    assert "record 1" in str(caught.value)
    with pytest.raises(DataError):
        stats([damaged])
    warnings = inspect(damaged, skip_corrupt=True).warnings
    assert any(
        w.startswith("1 of the episodes cannot be read") and w.endswith("the first is 1") for w in warnings
    )
    (found,) = stats([damaged], skip_corrupt=True)
    assert (found.episodes, found.steps) == (2, 8)
    assert [count for _, count in found.skipped] == [1]


def test_every_camera_gives_a_picture(tmp_path: Path):
    model = inspect(write_dataset(tmp_path / "set", [make_episode(i, 4) for i in range(2)]))
    assert {v.camera: (v.width, v.height) for v in model.views} == {
        c.name: (c.width, c.height) for c in CAMERAS.values()
    }
    assert all(100 < v.mean < 155 and 60 < v.std < 90 and v.frames == 6 for v in model.views)
    galleries = model.sections(tmp_path / "media")[1].blocks
    assert sorted(p.name for p in (tmp_path / "media").iterdir()) == [
        "made_up-front.png",
        "made_up-wrist.png",
    ]
    assert galleries[1].kind == "gallery"
    assert "pictures" not in model.to_dict()


def test_units_stand_in_the_tree(tmp_path: Path):
    model = inspect(write_dataset(tmp_path, [make_episode(0, 3)]))
    tree = model.tree()
    assert "→ action [3×m, 1×–]" in tree
    assert "→ state [rad]" in tree
    assert "→ time [s]" in tree
    assert "→ depth front [m]" in tree
    assert model.to_dict()["units"]["steps/timestamp"] == "s"


def test_how_far_an_entry_can_be_trusted(tmp_path: Path, shared: Path):
    own = inspect(write_dataset(tmp_path, [make_episode(0, 3)])).standing
    assert own.status == "described"
    bridge = inspect(shared / "data/rlds").standing
    assert bridge.status == "real"
    assert "verified on real episodes. Source: BridgeData V2" in bridge.words()
    assert "Known: the first action of an episode is zero" in bridge.words()
