"""Velocity in space: rest is rest from a moving camera, steady motion is found, covariance is honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from tests.vision.scenes import box, tracked

from vla_data.errors import ConfigError, DataError
from vla_vision.velocity import (
    PRESETS,
    VelocityConfig,
    VelocityFilter,
    object_depths,
    radial_and_lateral,
)
from vla_vision.velocity.filter import correct, predict
from vla_vision.velocity.lifting import centres, lift, to_world

K = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
STEP = 1 / 20


def pose_at(turn: np.ndarray, place: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    return pose


def seen_from(pose: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixel and depth of a world point."""
    local = pose[:3, :3].T @ (point - pose[:3, 3])
    return (K @ local)[:2] / local[2], float(local[2])


def plane(depth: float) -> np.ndarray:
    return np.full((240, 320), depth, np.float32)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_thing_at_rest_has_no_velocity_in_the_world_though_the_camera_moves(seed: int):
    rng = np.random.default_rng(seed)
    point = np.array([*rng.uniform(-0.2, 0.2, 2), 1.5])
    drift, spin = rng.uniform(-0.5, 0.5, 3), rng.uniform(-0.3, 0.3, 3)
    world, camera = VelocityFilter(K), VelocityFilter(K)
    seen = []
    for i in range(15):
        pose = pose_at(spin * i * STEP, drift * i * STEP)
        pixel, depth = seen_from(pose, point)
        tracks = tracked([box(pixel[0], pixel[1], 12, 12)])
        seen.append(
            (
                world.update(i * STEP, tracks, plane(depth), pose),
                camera.update(i * STEP, tracks, plane(depth)),
            )
        )
    out, relative = seen[-1]
    assert (out.frame, relative.frame) == ("world", "camera")
    np.testing.assert_allclose(out.positions[0], point, atol=0.01)
    assert np.linalg.norm(out.velocities[0]) < 0.02
    if np.linalg.norm(drift) > 0.3 and np.linalg.norm(spin) < 0.1:
        assert np.linalg.norm(relative.velocities[0]) > 0.1


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_steady_velocity_is_found(seed: int):
    rng = np.random.default_rng(seed)
    start, velocity = np.array([0, 0, 2.5]), rng.uniform(-0.4, 0.4, 3)
    pose = pose_at(rng.uniform(-0.1, 0.1, 3), rng.uniform(-0.1, 0.1, 3))
    engine = VelocityFilter(K)
    seen = []
    for i in range(30):
        pixel, depth = seen_from(pose, start + velocity * i * STEP)
        tracks = tracked([box(pixel[0], pixel[1], 12, 12)])
        seen.append(engine.update(i * STEP, tracks, plane(depth), pose))
    out = seen[-1]
    np.testing.assert_allclose(out.velocities[0], velocity, atol=0.05)
    assert out.measured.tolist() == [True]
    assert (np.linalg.eigvalsh(out.covariances) > 0).all()


def consistent_runs(runs: int, frames: int, distance: float, config: VelocityConfig) -> np.ndarray:
    """Squared errors in units of the filter's covariance, [runs], after frames of noise as it believes."""
    rng = np.random.default_rng(0)
    pose = pose_at(np.array([0.1, -0.2, 0.3]), np.array([0.3, 0.1, -0.2]))
    truth = np.zeros((runs, 6))
    truth[:, :3] = 0.2, 0.1, distance
    truth[:, 3:] = rng.normal(0, config.start_speed, (runs, 3))
    state = spread = None
    for i in range(frames):
        local = (truth[:, :3] - pose[:3, 3]) @ pose[:3, :3]
        depths = local[:, 2] * (1 + rng.normal(0, config.depth_noise, runs))
        depths += rng.normal(0, config.depth_floor, runs)
        pixels = (local @ K.T)[:, :2] / local[:, 2:] + rng.normal(0, config.pixel_noise, (runs, 2))
        if state is not None and spread is not None:
            state, spread = predict(state, spread, STEP, config)
        believed = None if state is None else (state[:, :3] - pose[:3, 3]) @ pose[:3, 2]
        points, noise = to_world(*lift(pixels, depths, K, config, believed), pose)
        if state is None or spread is None:
            state = np.concatenate([points, np.zeros((runs, 3))], axis=1)
            spread = np.zeros((runs, 6, 6))
            spread[:, :3, :3], spread[:, 3:, 3:] = noise, np.eye(3) * config.start_speed**2
        else:
            state, spread = correct(state, spread, points, noise, 1e9)
        kick = _kick(rng, runs, config)
        if i < frames - 1:
            truth[:, :3] += truth[:, 3:] * STEP
            truth += kick
    assert state is not None
    assert spread is not None
    off = state - truth
    return np.einsum("ni,nij,nj->n", off, np.linalg.inv(spread), off)


def _kick(rng: np.random.Generator, runs: int, config: VelocityConfig) -> np.ndarray:
    """A step of white acceleration, with the covariance `predict` adds."""
    _, noise = predict(np.zeros((1, 6)), np.zeros((1, 6, 6)), STEP, config)
    return rng.multivariate_normal(np.zeros(6), noise[0], runs)


@pytest.mark.parametrize(("name", "distance"), [("default", 1.5), ("street", 40.0)])
def test_the_covariance_is_honest(name: str, distance: float):
    """The normalised squared error of N runs follows chi² with 6N degrees of freedom."""
    runs = 400
    errors = consistent_runs(runs, 25, distance, PRESETS[name]())
    low, high = chi2.ppf([0.0005, 0.9995], 6 * runs) / runs
    assert low < errors.mean() < high * 1.05  # noise in proportion to depth is not quite Gaussian
    assert np.mean(errors < chi2.ppf(0.95, 6)) == pytest.approx(0.95, abs=0.05)


def test_the_covariance_is_long_along_the_ray_and_grows_with_depth():
    config = VelocityConfig()
    points, spread = lift(np.array([[160.0, 120.0], [160.0, 120.0]]), np.array([1.0, 4.0]), K, config)
    np.testing.assert_allclose(points, [[0, 0, 1], [0, 0, 4]])
    radial, lateral = np.sqrt(spread[:, 2, 2]), np.sqrt(spread[:, 0, 0])
    assert (radial > 2 * lateral).all()
    assert radial[1] > 3.5 * radial[0]


def test_frames_without_depth_only_widen_the_covariance():
    engine = VelocityFilter(K)
    tracks = tracked([box(160, 120, 40, 40)])
    last = [engine.update(i * STEP, tracks, plane(1.0)) for i in range(5)][-1]
    for i, depth in enumerate((plane(0.0), plane(np.nan), plane(np.inf), None, plane(-1.0)), 5):
        out = engine.update(i * STEP, tracks, depth)
        assert out.measured.tolist() == [False]
        assert np.isfinite(out.velocities).all()
        assert np.trace(out.covariances[0]) > np.trace(last.covariances[0])
        last = out
    unseen = engine.update(10 * STEP, tracked([box(160, 120, 40, 40)], seen=False), plane(5.0))
    assert unseen.measured.tolist() == [False]
    assert engine.update(11 * STEP, tracks, plane(1.0)).measured.tolist() == [True]


def test_one_wild_depth_hardly_moves_the_velocity():
    def velocity(gate: float) -> float:
        engine = VelocityFilter(K, VelocityConfig(gate=gate))
        thing, depths = tracked([box(160, 120, 40, 40)]), [1.0] * 18 + [3.0, 1.0]
        seen = [engine.update(i * STEP, thing, plane(depth)) for i, depth in enumerate(depths)]
        return float(np.linalg.norm(seen[-1].velocities))

    assert velocity(VelocityConfig().gate) < 0.1 < 0.5 * velocity(1e9)


def test_objects_come_go_and_keep_their_own_state():
    engine = VelocityFilter(K)
    left, right = box(80, 120, 20, 20), box(240, 120, 20, 20)
    engine.update(0.0, tracked([left], ids=[7]), plane(1.0))
    out = engine.update(0.1, tracked([right, left], ids=[3, 7]), plane(1.0))
    assert sorted(out.ids.tolist()) == [3, 7]
    by_id = dict(zip(out.ids.tolist(), out.positions, strict=True))
    assert by_id[7][0] < 0 < by_id[3][0]
    assert engine.update(0.2, tracked([right], ids=[3]), plane(1.0)).ids.tolist() == [3]
    late = engine.update(5.0, tracked([right], ids=[3]), None)
    assert len(late) == 0


def test_depth_is_taken_from_the_inside_of_a_thing():
    depth = plane(3.0)
    depth[100:140, 140:180] = 1.0
    depth[110:116] = 0.0
    boxes = np.array([[130, 90, 190, 150], [0, 0, 20, 20], [500, 500, 600, 600]], np.float32)
    config = VelocityConfig()
    np.testing.assert_allclose(object_depths(depth, boxes, None, config), [1.0, 3.0, np.nan])
    masks = np.zeros((3, 240, 320), bool)
    masks[0, 120:140, 140:180] = masks[1, :5, :5] = True
    np.testing.assert_allclose(object_depths(depth, boxes, masks, config), [1.0, 3.0, np.nan])
    np.testing.assert_allclose(centres(boxes, masks)[:2], [[160, 130], [2.5, 2.5]])
    mostly_missing = plane(0.0)
    mostly_missing[118:120, 158:160] = 1.0
    assert np.isnan(object_depths(mostly_missing, boxes[:1], None, config)).all()


def test_a_thin_thing_before_a_far_wall_is_as_far_as_the_thing():
    depth = plane(3.0)
    depth[60:180, 150:170] = 1.0  # two of five columns of its box
    boxes = np.array([[135, 60, 185, 180]], np.float32)
    np.testing.assert_allclose(object_depths(depth, boxes, None, VelocityConfig()), [1.0])
    np.testing.assert_allclose(object_depths(depth, boxes, None, VelocityConfig(quantile=0.9)), [3.0])


def test_radial_and_lateral_parts():
    radial, lateral = radial_and_lateral(
        np.array([[0.0, 3.0, 4.0], [1.0, 0.0, -2.0]]), np.array([[0.0, 0, 2], [0.0, 0, 5]]), np.zeros(3)
    )
    np.testing.assert_allclose(radial, [4, -2])
    np.testing.assert_allclose(lateral, [3, 1])


def test_frames_out_of_order_and_poses_that_come_and_go_are_errors():
    engine, tracks = VelocityFilter(K), tracked([box(160, 120)])
    engine.update(1.0, tracks, plane(1.0), np.eye(4))
    for time, pose in ((1.0, np.eye(4)), (0.5, np.eye(4)), (2.0, None), (float("nan"), np.eye(4))):
        with pytest.raises(DataError, match="do not follow"):
            engine.update(time, tracks, plane(1.0), pose)
    for pose in (np.eye(3), np.eye(4) * np.nan, np.diag([2.0, 1, 1, 1])):
        with pytest.raises(DataError, match="rigid"):
            engine.update(3.0, tracks, plane(1.0), pose)
        engine.reset()


@pytest.mark.parametrize("wrong", [np.eye(2), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_intrinsics_that_cannot_be(wrong: np.ndarray):
    with pytest.raises(DataError, match="intrinsics"):
        VelocityFilter(wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"pixel_noise": 0.0}, {"depth_noise": -0.1}, {"inner": 0.0}, {"quantile": 1.1}, {"max_gap": 0.0}],
)
def test_settings_out_of_range(wrong: dict[str, float]):
    with pytest.raises(ConfigError):
        VelocityConfig(**wrong)
