"""Optical flow: known shifts are found, in the unit that is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vision.scenes import texture

from vla_data.errors import ConfigError, DataError
from vla_vision.velocity import DenseFlow, FlowConfig, flow_in_boxes, optical_flow, per_second
from vla_vision.velocity.flow import PRESETS, inner_slices

SCENE = texture(0, 200, 300)


def shifted(dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """Two frames of 160×120 between which the picture moves by (dx, dy)."""
    return SCENE[30:150, 60:220], SCENE[30 - dy : 150 - dy, 60 - dx : 220 - dx]


@settings(max_examples=12)
@given(st.integers(-8, 8), st.integers(-8, 8))
def test_a_shift_is_found(dx: int, dy: int):
    before, after = shifted(dx, dy)
    flow = optical_flow(before, after, PRESETS["precise"]())
    assert flow.shape == (120, 160, 2)
    np.testing.assert_allclose(np.median(flow[20:-20, 20:-20], axis=(0, 1)), [dx, dy], atol=0.3)


def test_scaling_down_keeps_the_unit():
    before, after = shifted(6, -4)
    flow = optical_flow(before, after, FlowConfig("medium", 80))
    assert flow.shape == (120, 160, 2)
    np.testing.assert_allclose(np.median(flow[20:-20, 20:-20], axis=(0, 1)), [6, -4], atol=0.6)


def test_an_object_moves_before_a_still_background():
    thing = texture(5, 40, 40)
    before, after = SCENE[:120, :160].copy(), SCENE[:120, :160].copy()
    before[40:80, 50:90], after[40:80, 55:95] = thing, thing
    flow = optical_flow(before, after, FlowConfig("medium"))
    boxes = np.array([[50, 40, 90, 80], [110, 20, 150, 100], [400, 400, 500, 500]], np.float32)
    found = flow_in_boxes(flow, boxes)
    np.testing.assert_allclose(found[:2], [[5, 0], [0, 0]], atol=0.5)
    assert np.isnan(found[2]).all()


def test_pixels_a_second():
    flow = np.full((2, 2, 2), 3.0, np.float32)
    np.testing.assert_allclose(per_second(flow, 1 / 30), 90, rtol=1e-6)
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="time must go on"):
            per_second(flow, seconds)


def test_the_first_frame_has_no_flow_and_reset_makes_another_first():
    engine = DenseFlow()
    before, after = shifted(3, 0)
    assert engine.update(before) is None
    assert engine.update(after) is not None
    engine.reset()
    assert engine.update(SCENE) is None


def test_frames_of_another_size_or_too_small_are_an_error():
    engine = DenseFlow()
    engine.update(SCENE)
    with pytest.raises(DataError, match="size of a frame"):
        engine.update(SCENE[:100])
    with pytest.raises(DataError, match="size of a frame"):
        DenseFlow().update(SCENE[:8, :8])


def test_black_frames_do_not_move():
    black = np.zeros((64, 64, 3), np.uint8)
    np.testing.assert_allclose(optical_flow(black, black), 0)


@given(st.integers(0, 1000), st.floats(0.1, 1.0))
def test_inner_parts_lie_in_the_frame(seed: int, inner: float):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-50, 100, (5, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 80, (5, 2))], axis=1).astype(np.float32)
    for (rows, columns), b in zip(inner_slices(boxes, (64, 96), inner), boxes, strict=True):
        assert rows.start in range(65)
        assert rows.stop in range(rows.start, 65)
        assert columns.start in range(97)
        assert columns.stop in range(columns.start, 97)
        if b.min() >= 0 and b[2] <= 96 and b[3] <= 64:
            assert rows.stop > rows.start
            assert columns.stop > columns.start
