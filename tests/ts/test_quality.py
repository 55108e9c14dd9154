"""What is measured of a codec, against cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.ts.conftest import SPEC
from tests.ts.series import reaching

from vla_data.normalize import NormStats
from vla_data.types import ActionDim, ActionSpec
from vla_ts import DctBpeCodec, UniformBinsCodec
from vla_ts.dct_bpe import DctBpeConfig
from vla_ts.quality import errors, jerk_added, measure, with_token_errors
from vla_ts.rotation import rotation_angles

LEARNT, HELD = reaching(20), reaching(6, first=200)
TURN = replace(SPEC.dims[0], quantity="rotation", unit="rad", scale=0.5)


def test_uniform_bins_have_the_error_and_rate_that_theory_gives():
    chunks = np.random.default_rng(0).uniform(-1, 1, (4000, 4, 4)).astype(np.float32)
    stats = NormStats.of([chunks.reshape(-1, 4)])
    quality = measure("bins", UniformBinsCodec(SPEC, 4, bins=16), chunks, stats, chunks)
    step = 2 / 16
    assert quality.error.nmse == pytest.approx(step**2 / 12 / (1 / 3), rel=0.02)
    assert quality.error.worst_by_dim[0] == pytest.approx(step / 2 * 0.01, rel=0.02)
    assert quality.rate.raw_bits == 16 * 4
    assert quality.rate.bits == pytest.approx(64, abs=0.3)
    assert quality.rate.tokens_per_second == pytest.approx(16 / (4 / 80))
    assert (quality.codes.dead, quality.robust.random) == (0, 1)
    assert quality.codes.perplexity == pytest.approx(16, rel=0.01)
    # A wrong code is another uniform value: its error is that of two independent ones, twice the variance.
    assert quality.robust.nmse[1] == pytest.approx(0.05 * 2, rel=0.1)
    assert quality.robust.decodable == (1, 1)


def test_wrong_codes_break_chunks_that_differ_in_length():
    codec = DctBpeCodec.fit(LEARNT.chunks(16), SPEC, DctBpeConfig(10.0, 512))
    quality = measure("DCT", codec, HELD.chunks(16), LEARNT.stats(), LEARNT.chunks(16))
    robust = quality.robust
    assert 1 > robust.decodable[0] > robust.decodable[1] > robust.random
    assert quality.error.nmse < robust.nmse[0] < robust.nmse[1]
    # A chunk survives about as often as none of its codes is wrong.
    assert robust.decodable[1] == pytest.approx(0.95**quality.rate.tokens, abs=0.15)
    assert quality.rate.most_tokens > quality.rate.tokens
    assert quality.rate.bits < quality.rate.raw_bits


def test_token_errors_hit_codes_and_never_padding():
    codes = np.full((2000, 10), 7)
    codes[:, 6:] = -1
    wrong = with_token_errors(codes, 50, 0.05, np.random.default_rng(0))
    assert (wrong[:, 6:] == -1).all()
    assert (wrong[:, :6] != 7).mean() == pytest.approx(0.05, abs=0.005)
    assert ((wrong[:, :6] >= 0) & (wrong[:, :6] < 50)).all()


@pytest.mark.parametrize("form", ["euler_xyz", "axis_angle", "quaternion_xyzw", "matrix_6d"])
def test_a_rotation_is_off_by_the_angle_of_the_turn_between(form):
    rng = np.random.default_rng(0)
    one = Rotation.from_rotvec(rng.uniform(-1, 1, (50, 3)))
    by = rng.uniform(0, 0.3, 50)
    axis = rng.normal(size=(50, 3))
    other = one * Rotation.from_rotvec(axis / np.linalg.norm(axis, axis=1, keepdims=True) * by[:, None])

    def numbers(r: Rotation) -> np.ndarray:
        return {
            "euler_xyz": lambda: r.as_euler("xyz"),
            "axis_angle": r.as_rotvec,
            "quaternion_xyzw": r.as_quat,
            "matrix_6d": lambda: r.as_matrix()[:, :, :2].transpose(0, 2, 1).reshape(-1, 6),
        }[form]()

    scale = 0.5 if form in ("euler_xyz", "axis_angle") else 1.0
    dims = tuple(replace(TURN, scale=scale, name=str(i)) for i in range(numbers(one).shape[1]))
    spec = ActionSpec(dims, 10.0, form)
    a, b = ((numbers(r) / scale).astype(np.float32) for r in (one, other))
    found = rotation_angles(a, b, spec)
    assert found is not None
    np.testing.assert_allclose(found[:, 0], by, atol=2e-3)


def test_without_a_form_there_is_no_angle():
    x = np.zeros((3, 4), np.float32)
    assert rotation_angles(x, x, SPEC) is None
    assert rotation_angles(x[:, :2], x[:, :2], ActionSpec((TURN, TURN), 10.0, "euler_xyz")) is None


def test_errors_are_in_units_of_spread_and_of_the_robot():
    chunks = np.zeros((10, 2, 4), np.float32)
    decoded = chunks + np.array([0.1, 0.2, 0, 0], np.float32)
    stats = replace(NormStats.of([np.eye(4, dtype=np.float32)]), std=(0.2, 0.1, 1.0, 1.0))
    found = errors(decoded, chunks, stats, SPEC)
    np.testing.assert_allclose(found.by_dim, [0.25, 4, 0, 0], rtol=1e-5)
    assert found.nmse == pytest.approx(4.25 / 4)
    np.testing.assert_allclose(found.rmse_by_dim, [0.001, 0.002, 0, 0], atol=1e-9)
    assert found.worst == pytest.approx(2)
    assert found.angle_mean is None


def test_jerk_counts_differences_of_the_motion_and_no_gripper():
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(50, 12, 4)), axis=1).astype(np.float32)
    rough = smooth.copy()
    rough[..., 3] += rng.normal(size=(50, 12))  # the gripper's
    assert jerk_added(rough, smooth, LEARNT.stats(), SPEC) == pytest.approx(0)
    rough[..., 0] += rng.normal(size=(50, 12))
    added = jerk_added(rough, smooth, LEARNT.stats(), SPEC)
    assert added is not None
    assert added > 0.3
    assert jerk_added(smooth[:, :2], smooth[:, :2], LEARNT.stats(), SPEC) is None
    still = np.zeros((4, 9, 4), np.float32)
    assert jerk_added(still, still, LEARNT.stats(), SPEC) is None


def test_a_position_jerks_by_its_third_difference():
    ramp = (np.arange(10, dtype=np.float32) ** 2)[None, :, None]
    absolute = ActionSpec((ActionDim("x", "position", "absolute", "base", "m"),), 10.0)
    stats = replace(NormStats.of([ramp[0]]), std=(1.0,))
    assert jerk_added(ramp, ramp, stats, absolute) is None  # a parabola has none
    delta = ActionSpec((ActionDim("x", "position", "delta", "base", "m"),), 10.0)
    assert jerk_added(2 * ramp, ramp, stats, delta) == pytest.approx(1)
