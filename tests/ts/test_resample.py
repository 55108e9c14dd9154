"""Resampling: what each kind of number keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vla_data.errors import ConfigError, DataError
from vla_data.types import ActionDim, ActionSpec
from vla_ts.resample import resample, respec

DELTA = ActionDim("x", "position", "delta", "base", "m")
SPEC = ActionSpec(
    (
        DELTA,
        replace(DELTA, name="q", quantity="joint", mode="absolute", unit="rad", low=-9.0, high=9.0),
        replace(DELTA, name="v", mode="velocity"),
        ActionDim("gripper", "gripper", "absolute", "none"),
    ),
    20.0,
    gripper_closes=1,
)


def series(steps: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (steps, 4))
    values[:, 3] = np.sign(values[:, 3])
    return values.astype(np.float32)


@given(st.integers(1, 50), st.floats(1, 200), st.integers(0, 99))
def test_deltas_keep_their_sum_and_grippers_their_values(steps: int, hz: float, seed: int):
    before = series(steps, seed)
    after = resample(before, SPEC, hz)
    assert len(after) == max(1, int(np.ceil(steps * hz / 20 - 1e-9)))
    assert after[:, 0].sum() == pytest.approx(before[:, 0].sum(), abs=1e-3)
    assert set(after[:, 3]) <= set(before[:, 3])
    assert before[:, 1].min() - 1e-6 <= after[:, 1].min()
    assert after[:, 1].max() <= before[:, 1].max() + 1e-6
    assert np.abs(after[:, 2]).max() <= np.abs(before[:, 2]).max() + 1e-5


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 99))
def test_a_whole_multiple_and_back_is_the_same(steps: int, times: int, seed: int):
    before = series(steps, seed)
    fast = respec(SPEC, 20.0 * times)
    back = resample(resample(before, SPEC, fast.control_hz), fast, 20.0)
    np.testing.assert_allclose(back, before, atol=1e-5)


def test_half_the_rate_in_figures():
    before = np.array([[0.1, 0, 1, -1], [0.2, 1, 3, -1], [0.3, 2, 5, 1], [0.4, 3, 7, 1], [0.5, 4, 9, -1]])
    after = resample(before.astype(np.float32), SPEC, 10.0)
    np.testing.assert_allclose(after, [[0.3, 0, 2, -1], [0.7, 2, 6, 1], [0.5, 4, 9, -1]], atol=1e-6)


def test_a_longer_step_may_move_further():
    slow = respec(SPEC, 5.0)
    assert [(d.low, d.high) for d in slow.dims] == [(-4, 4), (-9, 9), (-1, 1), (-1, 1)]
    assert slow.control_hz == 5
    assert respec(SPEC, 20.0) == SPEC


def test_angles_take_the_short_way_round():
    angle = replace(DELTA, quantity="rotation", mode="absolute", unit="rad", low=-4.0, high=4.0)
    spec = ActionSpec(tuple(replace(angle, name=n) for n in "rpy"), 10.0, "euler_xyz")
    values = np.zeros((2, 3), np.float32)
    values[:, 2] = [3.1, -3.1]
    after = resample(values, spec, 20.0)
    assert abs(after[1, 2]) == pytest.approx(np.pi, abs=1e-4)


def test_quaternions_stay_rotations_whatever_their_sign():
    part = replace(DELTA, quantity="rotation", mode="absolute", unit="1")
    spec = ActionSpec(tuple(replace(part, name=n) for n in "xyzw"), 10.0, "quaternion_xyzw")
    turns = Rotation.from_rotvec(np.linspace(0, 1, 9)[:, None] * [0, 0, 1]).as_quat()
    turns[1::2] *= -1
    after = resample(turns.astype(np.float32), spec, 20.0)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-6)
    found = Rotation.from_quat(after[:17]).magnitude()
    np.testing.assert_allclose(found, np.linspace(0, 1, 17), atol=1e-3)


@pytest.mark.parametrize("hz", [0.0, -1.0, float("nan"), float("inf")])
def test_rates_that_cannot_be_are_refused(hz: float):
    with pytest.raises(ConfigError, match="control rate"):
        resample(series(3), SPEC, hz)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("shape", [(0, 4), (5, 3), (5,)])
def test_series_of_another_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(DataError, match="another shape"):
        resample(np.zeros(shape, np.float32), SPEC, 5.0)
