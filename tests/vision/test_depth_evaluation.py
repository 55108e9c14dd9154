"""Figures worked out by hand, baselines, and what counts as moving."""

import numpy as np
import pytest
from tests.vision.depth_scenes import Episodes, room_episode

from vla_vision.depth.config import TrainDepthConfig
from vla_vision.depth.evaluation import evaluate, pixel_mean, score
from vla_vision.depth.frames import moving_pixels, read_frames, usable_depth


def test_score_by_hand() -> None:
    true = np.array([1.0, 2.0, 4.0, 0.0, np.inf], np.float32)
    predicted = np.array([1.1, 2.0, 8.0, 5.0, 5.0], np.float32)
    found = score(predicted, true)
    assert found is not None
    assert found.abs_rel == pytest.approx((0.1 + 0 + 1) / 3, rel=1e-5)
    assert found.delta1 == pytest.approx(2 / 3)
    assert found.rmse == pytest.approx(((0.01 + 16) / 3) ** 0.5, rel=1e-4)
    assert found.pixels == 3
    assert score(predicted, true, np.zeros(5, bool)) is None


def test_predictions_that_are_no_distance_count_as_wrong() -> None:
    true = np.ones(4, np.float32)
    found = score(np.array([0.0, np.nan, np.inf, 1.0], np.float32), true)
    assert found is not None
    assert found.delta1 == 0.25
    assert np.isfinite([found.abs_rel, found.rmse]).all()


def test_pixel_mean_leaves_out_unknown_depth() -> None:
    depth = np.array([[[1.0, 0.0]], [[3.0, 0.0]]], np.float16)
    np.testing.assert_allclose(pixel_mean(depth), [[2.0, 2.0]])


def test_truth_scores_full_and_baselines_stand_beside() -> None:
    source = Episodes([room_episode(i) for i in range(4)])
    frames = read_frames(source, TrainDepthConfig(height=32, width=32, frames=200))
    learnt, held = frames.select(frames.episode < 3), frames.select(frames.episode == 3)
    scores = evaluate(lambda f: f.depth.astype(np.float32), learnt, held)
    assert [s.camera for s in scores] == ["front", "tele"]
    for found in scores:
        assert found.all["network"].delta1 == 1.0
        assert set(found.all) == {"network", "pixel mean", "constant"}
        assert found.all["pixel mean"].delta1 > found.all["constant"].delta1
        assert found.moving is not None
        assert found.moving["pixel mean"].pixels < found.all["pixel mean"].pixels / 5


def test_moving_pixels_without_labels_are_those_that_came_nearer() -> None:
    episode = room_episode(0)
    found = moving_pixels(episode, "front", 8, 10.0)
    now, before = episode.depth["front"][8], episode.depth["front"][3]
    assert found.any()
    assert (now[found] < before[found]).all()
    assert not moving_pixels(episode, "front", 2, 10.0).any()


def test_moving_pixels_of_labelled_episodes_are_those_of_fast_objects() -> None:
    from dataclasses import replace

    episode = room_episode(0)
    masks = np.zeros((12, 32, 32), np.uint8)
    masks[:, :8], masks[:, 8:16] = 1, 2
    velocity = np.zeros((12, 3, 3), np.float32)
    velocity[:, 1, 0] = 0.2
    labelled = replace(episode, series={"segmentation/front": masks, "objects/velocity": velocity})
    found = moving_pixels(labelled, "front", 4, 10.0)
    assert found[8:16].all()
    assert found.sum() == 8 * 32


def test_usable_depth() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -1.0, 0.0, 0.001, 0.5, 10.0, 10.1]], np.float32)
    np.testing.assert_array_equal(
        usable_depth(values, 10.0), np.array([[0, 0, 0, 0, 0, 0, 0.5, 10, 0]], np.float32)
    )


def test_frames_are_cut_not_squeezed_and_keep_their_focal_length() -> None:
    """32×32 frames read at 16×32: the middle rows at the same scale, twice the focal length in heights."""
    source = Episodes([room_episode(0)])
    frames = read_frames(source, TrainDepthConfig(height=16, width=32, frames=12))
    front = frames.of_camera("front")
    np.testing.assert_array_equal(front.images[0], source[0].images["front"][0][8:24])
    np.testing.assert_array_equal(front.depth[0], source[0].depth["front"][0][8:24].astype(np.float16))
    assert front.focal[0] == pytest.approx(2.0)
