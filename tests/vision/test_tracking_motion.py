"""The motion model against a full Kalman filter, and what it must do by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.scenes import box

from vla_vision.tracking.motion import BoxStates, MotionConfig, measurement_noise, to_centre, to_corners

CONFIG = MotionConfig()


def boxes(*centres: tuple[float, float]) -> np.ndarray:
    return np.array([box(x, y) for x, y in centres], np.float32)


class FullKalman:
    """The textbook: one track, state of eight, matrices in full."""

    def __init__(self, first: np.ndarray) -> None:
        states = BoxStates.start(first, CONFIG)
        self.x = np.concatenate([states.value[0], states.speed[0]])
        self.P = np.diag(np.concatenate([states.var[0], states.speed_var[0]]))

    def predict(self) -> None:
        scale = np.sqrt(self.x[2] * self.x[3])
        F = np.eye(8)
        F[:4, 4:] = np.eye(4)
        speeds = [CONFIG.acceleration] * 2 + [CONFIG.growth] * 2
        Q = np.diag((np.array([CONFIG.wander] * 4 + speeds) * scale) ** 2)
        self.x, self.P = F @ self.x, F @ self.P @ F.T + Q

    def update(self, z: np.ndarray) -> float:
        H = np.eye(4, 8)
        R = np.diag(measurement_noise(self.x[None, :4], CONFIG)[0])
        S = H @ self.P @ H.T + R
        K = self.P @ H.T @ np.linalg.inv(S)
        off = z - H @ self.x
        self.x, self.P = self.x + K @ off, (np.eye(8) - K @ H) @ self.P
        return float(off @ np.linalg.inv(S) @ off)


@given(st.integers(0, 10_000))
def test_four_small_filters_are_one_full_filter(seed: int):
    rng = np.random.default_rng(seed)
    first = boxes((100, 100), (300, 200))
    states, full = BoxStates.start(first, CONFIG), FullKalman(first[:1])
    for step in range(12):
        states.predict(np.zeros(2, bool), CONFIG)
        full.predict()
        seen = boxes((100 + 4 * step, 100 + step)) + rng.normal(0, 2, (1, 4)).astype(np.float32)
        distance = states.distances(seen, CONFIG)[0, 0]
        states.update(np.array([0]), seen, CONFIG)
        assert np.isclose(full.update(to_centre(seen)[0]), distance)
    np.testing.assert_allclose(states.value[0], full.x[:4], rtol=1e-9)
    np.testing.assert_allclose(states.speed[0], full.x[4:], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(states.var[0], np.diag(full.P)[:4], rtol=1e-7)
    np.testing.assert_allclose(states.cov[0], np.diag(full.P[:4, 4:]), rtol=1e-7)


def test_a_steady_pace_is_learned_and_kept_when_unseen():
    states = BoxStates.start(boxes((50, 100)), CONFIG)
    for step in range(1, 30):
        states.predict(np.zeros(1, bool), CONFIG)
        states.update(np.array([0]), boxes((50 + 5 * step, 100 - 2 * step)), CONFIG)
    np.testing.assert_allclose(states.speed[0, :2], [5, -2], atol=0.05)
    spread = states.var.copy()
    for _ in range(4):
        states.predict(np.ones(1, bool), CONFIG)
    np.testing.assert_allclose(states.value[0, :2], [50 + 5 * 33, 100 - 2 * 33], atol=0.5)
    np.testing.assert_allclose(states.speed[0, 2:], 0)
    assert (states.var > spread).all()


@given(st.floats(-0.3, 0.3), st.floats(0.8, 1.25), st.floats(-40, 40), st.floats(-40, 40))
def test_moving_the_camera_there_and_back_changes_nothing(turn: float, scale: float, dx: float, dy: float):
    states = BoxStates.start(boxes((100, 80), (200, 150)), CONFIG)
    states.speed[:] = [3, -1, 0.5, 0.2]
    before = [a.copy() for a in (states.value, states.speed)]
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    inverse = np.linalg.inv(matrix)
    shift = np.array([dx, dy])
    states.warp(np.hstack([matrix, shift[:, None]]))
    assert not np.allclose(states.value, before[0]) or (abs(dx) + abs(dy) + abs(turn) + abs(scale - 1)) < 1e-3
    states.warp(np.hstack([inverse, (-inverse @ shift)[:, None]]))
    np.testing.assert_allclose(states.value, before[0], atol=1e-6)
    np.testing.assert_allclose(states.speed, before[1], atol=1e-6)
    assert (states.var > 0).all()


def test_boxes_there_and_back():
    given_boxes = boxes((10, 20), (300.5, 7.25))
    np.testing.assert_allclose(to_corners(to_centre(given_boxes)), given_boxes, atol=1e-4)
