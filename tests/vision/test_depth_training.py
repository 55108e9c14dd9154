"""Training: learns, resumes to the same weights, is measured honestly, and refuses what has no depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.vision.depth_scenes import Episodes, room_episode

from vla_data.config import merge
from vla_data.errors import CheckpointError, DataError, UnknownNameError
from vla_data.fit import save_weights
from vla_vision.depth import load_depth, train_depth
from vla_vision.depth.compact import read_compact
from vla_vision.depth.config import PRESETS, TrainDepthConfig
from vla_vision.depth.frames import read_frames
from vla_vision.depth.training import split_frames

CAMERAS = {"front": 1.2, "middle": 1.0, "wide": 0.8}


def rooms(count: int = 5, steps: int = 8) -> Episodes:
    return Episodes([room_episode(i, steps, cameras=CAMERAS) for i in range(count)])


def config(**changes: object) -> TrainDepthConfig:
    return merge(PRESETS["debug"](), {"unseen": "middle", **changes})


def test_learns_rooms_and_says_how_well(tmp_path: Path) -> None:
    mild = {"turn": 2.0, "roll": 2.0, "zoom": 1.3, "colour": 0.02}
    fast = {"steps": 150, "batch_size": 8, "learning_rate": 6e-3}
    chosen = config(fit=fast, network={"channels": (16, 16, 24, 32)}, views=mild)
    summary, sections = train_depth(rooms(), chosen, tmp_path)
    unseen = summary["cameras"]["middle"]["all"]
    assert summary["delta1_unseen_camera"] == unseen["delta1"]
    assert unseen["delta1"] > 0.8 > unseen["constant delta1"]
    assert unseen["abs_rel"] < 0.5 * unseen["constant abs_rel"]
    assert summary["kind"].startswith("metric")
    model = load_depth(tmp_path)
    frame, true = rooms().episodes[0].images["front"][3], rooms().episodes[0].depth["front"][3]
    said = model.infer([frame], focal=32.0)[0]
    assert np.abs(np.log(said.values / true)).mean() < 0.4
    longer = model.infer([frame], focal=64.0)[0]
    np.testing.assert_allclose(longer.values, 2 * said.values, rtol=1e-4)
    known = model.spec.focal * 32  # nobody said: that of the training cameras
    np.testing.assert_allclose(model.infer([frame])[0].values, said.values * known / 32, rtol=1e-4)
    assert (tmp_path / "example-0.png").is_file()
    assert sections[0].title == "Depth"


def test_resumes_to_the_same_weights(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "stage", "") == "train-depth" and getattr(progress, "done", 0) >= 20:
            raise StopError

    source, chosen = rooms(3), config()
    train_depth(source, chosen, tmp_path / "whole")
    with pytest.raises(StopError):
        train_depth(source, chosen, tmp_path / "cut", stop)
    assert (tmp_path / "cut" / ".resume").is_dir()
    train_depth(source, chosen, tmp_path / "cut")
    one, two = (read_compact(tmp_path / name)[0].state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_goes_on_from_earlier_weights(tmp_path: Path) -> None:
    source = rooms(3)
    train_depth(source, config(), tmp_path / "first")
    short = config(
        weights=str(tmp_path / "first"), fit={"steps": 1, "learning_rate": 1e-9, "ema_decay": None}
    )
    train_depth(source, short, tmp_path / "second")
    one, two = (read_compact(tmp_path / name)[0].state_dict() for name in ("first", "second"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=0)


def test_held_out_episodes_and_the_unseen_camera_are_not_trained_on() -> None:
    frames = read_frames(rooms(6), config(frames=100))
    learnt, held = split_frames(frames, config(), "rooms")
    assert set(learnt.episode.tolist()).isdisjoint(held.episode.tolist())
    assert len(set(held.episode.tolist())) == 1
    again = split_frames(frames, config(), "rooms")[1]
    np.testing.assert_array_equal(held.episode, again.episode)


def test_bad_depth_is_left_out_and_counted(tmp_path: Path) -> None:
    source = rooms(3)
    for episode in source.episodes:
        depth = np.asarray(episode.depth["wide"])
        depth[0] = 0
        depth[1] = np.nan
        depth[2, :10] = np.inf
        depth[3, :4] = -1
    frames = read_frames(source, config())
    assert frames.empty == 6
    assert np.isfinite(frames.depth).all()
    assert (frames.depth >= 0).all()
    summary, _ = train_depth(source, config(), tmp_path)
    assert summary["frames_without_depth"] == 6
    assert np.isfinite(summary["delta1_unseen_camera"])


def test_cameras_without_intrinsics_are_named() -> None:
    source = rooms(2)
    source.episodes = [
        replace(e, cameras={k: v for k, v in e.cameras.items() if k != "wide"}) for e in source.episodes
    ]
    frames = read_frames(source, config())
    assert frames.unknown_focal == ("wide",)
    assert set(frames.of_camera("wide").focal.tolist()) == {1.0}
    assert frames.of_camera("middle").focal[0] == pytest.approx(1.0)


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    bare = Episodes([replace(e, depth={}) for e in rooms(2).episodes])
    with pytest.raises(DataError, match="no depth to learn from") as caught:
        train_depth(bare, replace(config(), unseen=None), tmp_path)
    assert "vla data generate" in str(caught.value.next_step)
    with pytest.raises(UnknownNameError, match="midle"):
        train_depth(rooms(2), config(unseen="midle"), tmp_path)
    with pytest.raises(DataError, match="too little"):
        train_depth(rooms(1), config(), tmp_path)
    only = Episodes([room_episode(i, cameras={"middle": 1.0}) for i in range(3)])
    with pytest.raises(DataError, match="too little"):
        train_depth(only, config(), tmp_path)


def test_a_changed_checkpoint_is_refused(tmp_path: Path) -> None:
    train_depth(rooms(2), config(fit={"steps": 1}), tmp_path)
    network, _ = read_compact(tmp_path)
    with torch.no_grad():
        network.head.weight.add_(1)
    save_weights(network, tmp_path / "depth" / "depth.safetensors")
    with pytest.raises(CheckpointError, match="manifest"):
        load_depth(tmp_path)
