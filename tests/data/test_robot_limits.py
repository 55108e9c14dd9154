"""Whatever is wanted, what comes out of the limiter is within limits, and as near as they let it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.robot_driver import ARM, HAND, HZ, floats

from vla_data.errors import ConfigError
from vla_data.robots.limits import NOWHERE, Limiter, MotionLimits, limits_of

NUMBERS = st.floats(-10, 10, width=32)
WANTED = st.lists(st.tuples(NUMBERS, NUMBERS, st.floats(-1, 1, width=32)), min_size=1, max_size=60)
ACCELERATION = st.sampled_from([0.5, 3.0, 20.0, 300.0, np.inf])
STARTS = st.tuples(st.floats(-1, 2, width=32), st.floats(-2.5, 0.5, width=32))
SLACK = 1e-5  # float32


@settings(max_examples=150)
@given(WANTED, ACCELERATION, STARTS)
def test_joints_keep_place_speed_and_change_of_speed(wanted, acceleration, start):
    limits = limits_of(ARM, acceleration=acceleration)
    limiter = Limiter(ARM.action, limits)
    state = floats(*start, 0)
    limiter.begin(state)
    place, speed = state[:2].astype(float), np.zeros(2)
    for action in [*wanted, *[None] * 20]:
        given_ = floats(*action) if action is not None else None
        sent = limiter.braked(state) if given_ is None else limiter.limited(given_, state)
        new = (sent[:2] - place) * HZ
        assert (sent[:2] >= np.array(limits.low[:2]) - SLACK).all()
        assert (sent[:2] <= np.array(limits.high[:2]) + SLACK).all()
        assert (np.abs(new) <= np.array(limits.speed[:2]) + SLACK * HZ).all()
        assert (np.abs(new - speed) <= acceleration / HZ + 2 * SLACK * HZ).all()
        place, speed = sent[:2].astype(float), new


@given(WANTED, STARTS)
def test_braking_ends_at_rest(wanted, start):
    limiter = Limiter(ARM.action, limits_of(ARM, acceleration=3.0))
    state = floats(*start, 0)
    limiter.begin(state)
    for action in wanted:
        limiter.limited(floats(*action), state)
    steps = 0
    while not limiter.still:
        limiter.braked(state)
        steps += 1
    assert steps <= np.ceil(3.0 / 3.0 * HZ) + 1  # from the largest speed at full braking


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_what_is_allowed_is_not_changed(grips):
    limiter = Limiter(ARM.action, limits_of(ARM, acceleration=5.0))
    state = floats(0.2, -0.3, 0)
    limiter.begin(state)
    for i, grip in enumerate(grips):
        wanted = floats(0.2 + 0.005 * np.sin(i), -0.3, grip)
        np.testing.assert_allclose(limiter.limited(wanted, state), wanted, atol=1e-6)


def test_a_far_target_is_reached_in_the_least_steps():
    """Accelerate, cruise, brake: the closed form of a trapezoid, to a step or two."""
    limits = limits_of(ARM, acceleration=3.0)
    limiter = Limiter(ARM.action, limits)
    state = floats(-1, -2.5, 0)
    limiter.begin(state)
    target = floats(2.0, 0.5, 0)  # both at their ends
    places = []
    while not places or abs(places[-1][:2] - target[:2]).max() > 1e-4:
        places.append(limiter.limited(target, state))
        assert len(places) < 200
    shoulder = 3.0 / 1.5 + 1.5 / 3.0  # 3 rad at 1.5 rad/s with ramps of 3 rad/s²
    elbow = 3.0 / 3.0 + 3.0 / 3.0
    seconds = max(shoulder, elbow)
    assert seconds * HZ - 1 <= len(places) <= seconds * HZ + 3


@settings(max_examples=150)
@given(WANTED, st.tuples(*[st.floats(-0.125, 1.0, width=32)] * 3))
def test_a_hand_stays_in_its_workspace_and_comes_back_into_it(wanted, start):
    limits = limits_of(HAND)
    limiter = Limiter(HAND.action, limits)
    hand = floats(*start)
    limiter.begin(hand)
    low, high = np.array(limits.low[:3]), np.array(limits.high[:3])
    for x, y, grip in wanted:
        sent = limiter.limited(floats(x, y, -x, grip), hand)
        assert (np.abs(sent) <= 1).all()
        moved = hand + 0.05 * sent[:3]
        outside = np.maximum(np.maximum(low - hand, hand - high), 0)
        assert (np.maximum(low - moved, moved - high) <= np.maximum(outside, 0) + SLACK).all()
        hand = moved.astype(np.float32)


def test_limits_are_those_of_the_robot():
    arm = limits_of(ARM)
    assert arm.low[:2] == (-1.0, -2.5)
    assert arm.high[:2] == (2.0, 0.5)
    assert arm.speed[:2] == (1.5, 3.0)
    assert arm.measured == (0, 1, NOWHERE)
    hand = limits_of(HAND, acceleration=2.0)
    assert hand.low[:3] == (-0.3, 0.2, 0.05)
    assert hand.speed[:3] == pytest.approx([0.05 * HZ] * 3)
    assert hand.acceleration == (2.0, 2.0, 2.0, np.inf)
    assert hand.measured == (0, 1, 2, NOWHERE)
    free = limits_of(replace(HAND, workspace=()))
    assert free.low[:3] == (-np.inf,) * 3


def test_limits_that_are_none_are_refused():
    good = limits_of(ARM)
    for changed in (
        {"low": (2.0, -2.5, -1.0)},
        {"speed": (0.0, 3.0, 1.0)},
        {"acceleration": (-1.0, 1.0, 1.0)},
        {"high": (np.nan, 1.0, 1.0)},
        {"measured": (0,)},
    ):
        with pytest.raises(ConfigError):
            replace(good, **changed)
    with pytest.raises(ConfigError, match="another robot"):
        Limiter(HAND.action, MotionLimits(*(v[:3] for v in vars(good).values())))
