"""The table: what a scene promises."""

import numpy as np
import pytest

from vla_data.objects import POSITION, VELOCITY, object_names
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import CameraView, SimConfig, make_env, make_expert
from vla_data.sim.tabletop import APART, FASTEST, FEWEST, MOST, REACH, THINGS, TURN, scene
from vla_data.types import Episode, Trial


def watched(task: str, seeds: range, source: str = "front") -> list[Episode]:
    env = make_env("tabletop", [task], SimConfig(cameras=(CameraView("front", source, 64, 64),)))
    config = RolloutConfig(execute=1, record=True, labels=True)
    found = [
        r.episode for r in rollout(env, make_expert(env), [Trial(task, s, "watch") for s in seeds], config)
    ]
    env.close()
    return [e for e in found if e is not None]


@pytest.mark.parametrize("seed", range(40))
def test_things_stay_on_the_table_and_apart(seed):
    chosen, where, speed = scene(np.random.default_rng(seed))
    assert FEWEST <= len(chosen) <= MOST
    assert len(set(chosen.tolist())) == len(chosen)
    assert np.linalg.norm(speed, axis=1).max() <= FASTEST
    for time in (0.0, 0.4, 0.8):
        at = where + time * speed
        assert np.abs(at).max() <= REACH
        gaps = np.linalg.norm(at[:, None] - at[None], axis=-1) + 9 * np.eye(len(at))
        assert gaps.min() > APART - 0.02


def test_labels_are_where_things_glide():
    for episode in watched("watch", range(3)):
        assert [n.kind for n in object_names(episode)] == list(THINGS)
        position, velocity = episode.series[POSITION], episode.series[VELOCITY]
        there = position[0, :, 2] > 0
        assert FEWEST <= there.sum() <= MOST
        assert not episode.series["objects/visible/front"][:, ~there].any()
        assert (episode.series["objects/visible/front"][0, there] > 0).all()
        np.testing.assert_allclose(np.diff(position, axis=0) * 10, velocity[1:], atol=1e-3)


def test_nothing_moves_where_nothing_is_to_move():
    (episode,) = watched("still", range(1))
    assert not episode.series[VELOCITY].any()
    assert len(episode) == 8


def test_the_head_turns_as_told_and_its_pose_is_known():
    env = make_env("tabletop", ["still"], SimConfig(cameras=(CameraView("head", "head", 32, 32),)))
    env.reset([0], [Trial("still", 3, "")])
    before = env.observe([0])[0]
    for _ in range(3):
        env.step([0], np.array([[1.0, -0.5]], np.float32))
    after = env.observe([0])[0]
    env.close()
    np.testing.assert_allclose(after.state, [3 * TURN, -1.5 * TURN], atol=1e-5)
    turned = before.poses["head"][:3, :3].T @ after.poses["head"][:3, :3]
    angle = np.arccos((np.trace(turned) - 1) / 2)
    assert 2.5 * TURN < angle < 4 * TURN
    assert (before.images["head"] != after.images["head"]).any()
