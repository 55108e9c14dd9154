"""Offline metrics: their closed forms, and windows as the roll-out loop shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.model.conftest import ROBOT, SPEC, ToySource

from vla_data.chunks import chunk_actions
from vla_data.errors import DataError, SpecMismatchError
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import RandomPolicy, SimConfig
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.types import ActionChunk, CameraInput, InputSpec, ObservationWindow, RobotSpec, Trial
from vla_model.offline import OfflineConfig, offline_metrics, window_at

HORIZON = 4


class Knowing:
    """Knows what was demonstrated, and changes it."""

    def __init__(self, source, change=lambda chunk: chunk, **spec) -> None:
        self.input_spec = InputSpec(source.robot, (), HORIZON, **spec)
        self.change = change
        self.chunks = {}
        for index in range(len(source)):
            episode = source[index]
            for step, chunk in enumerate(chunk_actions(episode.action, HORIZON)):
                self.chunks[episode.state[step].tobytes()] = chunk
        self.reset_with: list[int] = []

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        self.reset_with += seeds

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        assert len(windows) <= 16
        found = [self.change(self.chunks[w.latest.state.tobytes()].copy()) for w in windows]
        return [ActionChunk(chunk, self.input_spec.robot.action) for chunk in found]


def measured(change, every: int = 3):
    source = Wavy()
    return offline_metrics(Knowing(source, change), source, OfflineConfig(every))


class Wavy(ToySource):
    """Its hand moves in every direction."""

    def __getitem__(self, index: int):
        episode = super().__getitem__(index)
        rng = np.random.default_rng(index + 100)
        action = episode.action.copy()
        action[:, :3] = rng.normal(scale=0.3, size=(len(action), 3))
        return replace(episode, action=action)


def scaled(chunk: np.ndarray, factor: float) -> np.ndarray:
    chunk[:, :3] *= factor
    return chunk


def test_a_policy_that_knows_makes_no_error():
    found = measured(lambda chunk: chunk)
    assert (found.chunk_error, found.first_error, found.end_error) == (0, 0, 0)
    assert found.direction == pytest.approx(1, abs=1e-5)
    assert found.gripper == 1
    assert found.moments == 6 * 7


def test_errors_are_told_in_spreads_of_what_was_shown():
    wavy = Wavy()
    chunks = np.concatenate([chunk_actions(wavy[i].action, HORIZON)[::3] for i in range(6)])[..., :3]
    expected = np.mean(np.abs(chunks * 0.5) / chunks.std(axis=(0, 1)))
    found = measured(lambda chunk: scaled(chunk, 0.5))
    assert found.chunk_error == pytest.approx(expected, rel=1e-5)
    assert found.direction == pytest.approx(1, abs=1e-5)
    first = np.mean(np.abs(chunks[:, 0] * 0.5) / chunks.std(axis=(0, 1)))
    assert found.first_error == pytest.approx(first, rel=1e-5)


def test_the_way_back_is_the_opposite_direction_and_grippers_are_counted_apart():
    found = measured(lambda chunk: scaled(chunk, -1))
    assert found.direction == pytest.approx(-1, abs=1e-5)
    assert found.gripper == 1

    def closed(chunk: np.ndarray) -> np.ndarray:
        chunk[:, 3] = 1
        return chunk

    found = measured(closed)
    assert found.chunk_error == 0
    assert found.gripper is not None
    assert 0.3 < found.gripper < 0.7


def test_what_is_no_displacement_has_no_direction():
    still = replace(SPEC, dims=tuple(replace(d, mode="absolute") for d in SPEC.dims), gripper_closes=1)
    source = ToySource(robot=RobotSpec("absolute", still, ROBOT.state))
    assert offline_metrics(Knowing(source), source).direction is None


def test_it_is_asked_about_some_episodes_with_seeds_of_their_own():
    source = Wavy()
    policy = Knowing(source)
    found = offline_metrics(policy, source, OfflineConfig(every=10, episodes=2, seed=5))
    assert found.moments == 4
    assert policy.reset_with == [5, 6]


def test_data_of_another_robot_or_without_a_camera_is_refused():
    source = Wavy()
    other = replace(ROBOT, action=replace(SPEC, control_hz=5.0))
    with pytest.raises(SpecMismatchError):
        offline_metrics(RandomPolicy(other), source)
    for camera in (
        CameraInput("side", 32, 32),
        CameraInput("front", 16, 16),
        CameraInput("front", 32, 32, True),
    ):
        with pytest.raises(SpecMismatchError, match="does not show"):
            offline_metrics(RandomPolicy(ROBOT, (camera,)), source)
    with pytest.raises(DataError, match="no moment"):
        offline_metrics(Knowing(source), Wavy(episodes=0))


class Watching(RandomPolicy):
    """Keeps the windows it is shown."""

    def __init__(self, robot: RobotSpec) -> None:
        super().__init__(robot, action_horizon=2)
        self.input_spec = InputSpec(robot, (), 2, history=3, past_actions=5)
        self.windows: list[ObservationWindow] = []

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        self.windows += windows
        return super().infer(windows)


def test_windows_are_those_of_the_roll_out_loop():
    env = MetaWorldEnv(("reach",), SimConfig(cameras=()), 1)
    policy = Watching(env.robot)
    options = RolloutConfig(execute=2, max_steps=12, record=True)
    (done,) = rollout(env, policy, [Trial("reach", 7, "reach it")], options)
    assert done.episode is not None
    for number, shown in enumerate(policy.windows):
        window = window_at(done.episode, 2 * number, policy.input_spec)
        np.testing.assert_allclose(window.past_actions, shown.past_actions, atol=1e-6)
        for one, other in zip(window.observations, shown.observations, strict=True):
            np.testing.assert_array_equal(one.state, other.state)
            assert one.time == pytest.approx(other.time)
            assert one.instruction == other.instruction
    env.close()
