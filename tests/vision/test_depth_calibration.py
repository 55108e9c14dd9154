"""Scale and shift of relative depth: exact where samples are, robust where some are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import DataError
from vla_vision.depth import KnownObject, calibrate, calibrate_by_size
from vla_vision.types import DepthMap


def relative(metres: np.ndarray, scale: float, shift: float) -> DepthMap:
    """What a model says that is right up to scale and shift of 1/depth."""
    return DepthMap(((1 / metres - shift) / scale).astype(np.float32), "relative")


def scene(seed: int = 0, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 4.0, shape).astype(np.float32)


@given(st.floats(0.05, 20), st.floats(-0.1, 0.2), st.integers(0, 100))
def test_scale_and_shift_come_back_exactly(scale: float, shift: float, seed: int) -> None:
    metres = scene(seed)
    found = calibrate(relative(metres, scale, shift), metres)
    assert found.scale == pytest.approx(scale, rel=1e-3)
    assert found.shift == pytest.approx(shift, abs=1e-3)
    np.testing.assert_allclose(found.apply(relative(metres, scale, shift)).values, metres, rtol=2e-3)
    assert found.inliers == 1.0


def test_golden_two_points() -> None:
    """Disparity 2 at value 10 and 0.5 at value 4: scale 0.25, shift −0.5, worked out by hand."""
    depth = DepthMap(np.array([[10.0, 4.0, 6.0]], np.float32), "relative")
    found = calibrate(depth, np.array([[0.5, 2.0, 0.0]], np.float32))
    assert (found.scale, found.shift) == (pytest.approx(0.25), pytest.approx(-0.5))
    assert found.apply(depth).values[0, 2] == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_wrong_samples_do_not_pull(share: float) -> None:
    metres, rng = scene(), np.random.default_rng(1)
    noisy = metres * rng.normal(1, 0.01, metres.shape).astype(np.float32)
    wrong = rng.random(metres.shape) < share
    noisy[wrong] = rng.uniform(0.2, 8, wrong.sum())
    found = calibrate(relative(metres, 0.5, 0.1), noisy)
    off = np.abs(found.apply(relative(metres, 0.5, 0.1)).values / metres - 1)
    assert off.max() < 0.02
    assert found.inliers == pytest.approx(1 - share, abs=0.08)
    plain = np.polyfit(
        relative(metres, 0.5, 0.1).values.ravel(), 1 / noisy.ravel(), 1
    )  # what it guards against
    assert abs(plain[0] - 0.5) > 5 * abs(found.scale - 0.5)


def test_unknown_depth_is_left_out() -> None:
    metres = scene()
    known = metres.copy()
    known[:8] = 0
    known[8] = np.nan
    known[9] = np.inf
    known[10] = -1
    found = calibrate(relative(metres, 2.0, 0.05), known)
    assert found.samples == 13 * 32
    assert found.scale == pytest.approx(2.0, rel=1e-3)


def test_metric_depth_gets_a_factor_only() -> None:
    metres = scene()
    found = calibrate(DepthMap(metres * 0.8, "metric"), metres)
    assert (found.scale, found.shift) == (pytest.approx(1.25, rel=1e-5), 0.0)
    with pytest.raises(DataError, match="another kind"):
        found.apply(DepthMap(metres, "relative"))


def test_depth_without_finite_distance_is_unknown() -> None:
    found = calibrate(relative(scene(), 0.5, -0.1), scene())
    assert found.apply(DepthMap(np.array([[0.0]], np.float32), "relative")).values[0, 0] == 0


def test_things_of_known_size() -> None:
    """Squares of 0.2 m, 20 and 10 pixels wide at a focal length of 100: 1 m and 2 m away."""
    near, far = np.zeros((2, 40, 60), bool)
    near[5:25, 5:25], far[10:20, 40:50] = True, True
    metres = np.where(near, 1.0, np.where(far, 2.0, 3.0)).astype(np.float32)
    objects = [KnownObject(near, 0.2), KnownObject(far, 0.2)]
    found = calibrate_by_size(relative(metres, 0.4, 0.1), objects, focal=100.0)
    np.testing.assert_allclose(found.apply(relative(metres, 0.4, 0.1)).values, metres, rtol=0.03)
    one = calibrate_by_size(relative(metres, 0.4, 0.0), objects[:1], focal=100.0)
    assert one.shift == 0.0
    assert one.scale == pytest.approx(0.4, rel=0.03)
    with pytest.raises(DataError, match="covers no pixel"):
        calibrate_by_size(relative(metres, 1, 0), [KnownObject(np.zeros((40, 60), bool), 1.0)], 100.0)


def test_what_cannot_be_calibrated() -> None:
    depth = relative(scene(), 1.0, 0.0)
    with pytest.raises(DataError, match="0 usable samples"):
        calibrate(depth, np.zeros((24, 32), np.float32))
    flat = DepthMap(np.ones((4, 4), np.float32), "relative")
    with pytest.raises(DataError, match="one distance"):
        calibrate(flat, np.ones((4, 4), np.float32))


def test_depth_that_goes_the_other_way_is_refused() -> None:
    """Metric weights whose config says nothing count as relative: their numbers grow with distance."""
    metres = scene()
    with pytest.raises(DataError, match="larger is farther") as caught:
        calibrate(DepthMap(metres, "relative"), metres)
    assert "metric" in str(caught.value.next_step)


def test_sizes_have_to_agree(unchecked_shapes: None) -> None:
    with pytest.raises(DataError, match="another size"):
        calibrate(relative(scene(), 1, 0), np.ones((3, 3), np.float32))
