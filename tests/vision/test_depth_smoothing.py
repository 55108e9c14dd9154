"""Flicker goes, moving edges stay where they are, and what is unknown stays unknown."""

import numpy as np
import pytest

from vla_data.errors import ConfigError, DataError
from vla_vision.depth import DepthSmoother, SmoothingConfig
from vla_vision.types import DepthMap

SHAPE = (40, 60)


def still_scene() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = (1.0 + x / SHAPE[1] + y / SHAPE[0]).astype(np.float32)
    image = np.repeat((80 + 80 * ((x // 5 + y // 5) % 2))[..., None], 3, 2).astype(np.uint8)
    return image, depth


def smooth_all(depths: list[DepthMap], images: list[np.ndarray], **settings: object) -> np.ndarray:
    smoother = DepthSmoother(SmoothingConfig(**settings))  # type: ignore[arg-type]
    return np.stack([smoother.update(d, i).values for d, i in zip(depths, images, strict=True)])


def test_noise_and_flicker_of_metric_depth_go_without_bias() -> None:
    image, true = still_scene()
    rng = np.random.default_rng(0)
    raw = [true * rng.normal(1, 0.03) * rng.normal(1, 0.02, SHAPE).astype(np.float32) for _ in range(120)]
    out = smooth_all([DepthMap(r.astype(np.float32), "metric") for r in raw], [image] * 120)
    settled = out[40:] / true
    before = np.stack(raw[40:]) / true
    assert settled.std(0).mean() < 0.4 * before.std(0).mean()
    assert settled.mean() == pytest.approx(before.mean(), abs=0.01)
    frames = settled.mean((1, 2))  # the scale of whole frames
    assert frames.std() < 0.35 * before.mean((1, 2)).std()


def test_scale_and_shift_of_relative_depth_are_brought_together() -> None:
    image, true = still_scene()
    rng = np.random.default_rng(0)
    raw = [
        DepthMap((rng.uniform(0.8, 1.25) / true + rng.uniform(-0.1, 0.1)).astype(np.float32), "relative")
        for _ in range(60)
    ]
    out = smooth_all(raw, [image] * 60)
    assert out[20:].std(0).mean() < 0.2 * np.stack([r.values for r in raw[20:]]).std(0).mean()
    fit = np.polyfit(1 / true.ravel(), out[-1].ravel(), 1)
    np.testing.assert_allclose(np.polyval(fit, 1 / true), out[-1], atol=0.01)


def moving(step: int) -> tuple[np.ndarray, np.ndarray]:
    """A block at 0.8 m that goes right by 2 pixels a step."""
    image, depth = still_scene()
    left = 2 * step % 40
    image[10:30, left : left + 10], depth[10:30, left : left + 10] = (200, 30, 30), 0.8
    return image, depth


def test_moving_edges_have_no_lag_and_no_ghost() -> None:
    frames = [moving(t) for t in range(19)]
    rng = np.random.default_rng(0)
    noisy = [DepthMap((d * rng.normal(1, 0.02, SHAPE)).astype(np.float32), "metric") for _, d in frames]
    out = smooth_all(noisy, [i for i, _ in frames])
    last, true = out[-1], frames[-1][1]
    left = 2 * 18
    edges = np.s_[10:30, left - 8 : left + 14]  # the block and what it uncovered
    assert np.abs(last[edges] / true[edges] - 1).max() < 0.1
    assert abs((last[edges] / true[edges]).mean() - 1) < 0.01
    # A plain average smears the block over what it left behind.
    plain = frames[0][1]
    for d in noisy[1:]:
        plain = 0.8 * plain + 0.2 * d.values
    assert np.abs(plain[edges] / true[edges] - 1).max() > 0.2


def test_an_edge_of_the_same_colour_is_told_by_its_depth() -> None:
    frames = [moving(t) for t in range(10)]
    blind = [still_scene()[0]] * 10
    out = smooth_all([DepthMap(d, "metric") for _, d in frames], blind, align=False)
    np.testing.assert_allclose(out[-1], frames[-1][1], rtol=0.08)


def test_a_lasting_change_of_scale_is_believed_in_time() -> None:
    image, true = still_scene()
    raw = [DepthMap(true * (1.0 if t < 5 else 1.05), "metric") for t in range(150)]
    out = smooth_all(raw, [image] * 150)
    assert out[6].mean() / true.mean() < 1.01
    assert out[-1].mean() / true.mean() == pytest.approx(1.05, abs=0.005)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf, -1.0])
def test_unknown_depth_stays_unknown_and_spoils_nothing(bad: float) -> None:
    image, true = still_scene()
    hole = true.copy()
    hole[5:9, 5:9] = bad
    out = smooth_all(
        [DepthMap(true, "metric"), DepthMap(hole, "metric"), DepthMap(true, "metric")], [image] * 3
    )
    assert (out[1][5:9, 5:9] == 0).all()
    np.testing.assert_allclose(out[2], true, rtol=1e-5)
    np.testing.assert_allclose(out[1][10:], true[10:], rtol=1e-5)


def test_a_cut_starts_anew() -> None:
    image, true = still_scene()
    other = (image // 4 + 180).astype(np.uint8)
    out = smooth_all([DepthMap(true, "metric"), DepthMap(3 * true, "metric")], [image, other])
    np.testing.assert_array_equal(out[1], 3 * true)


def test_a_frame_without_any_depth() -> None:
    image, true = still_scene()
    nothing = DepthMap(np.zeros(SHAPE, np.float32), "metric")
    out = smooth_all([DepthMap(true, "metric"), nothing, DepthMap(true, "metric")], [image] * 3)
    assert not out[1].any()
    np.testing.assert_allclose(out[2], true, rtol=1e-6)


def test_changing_sizes_are_refused_until_reset() -> None:
    image, true = still_scene()
    smoother = DepthSmoother()
    smoother.update(DepthMap(true, "metric"), image)
    small = DepthMap(true[:20], "metric")
    with pytest.raises(DataError, match="differ in size"):
        smoother.update(small, image[:20])
    smoother.reset()
    np.testing.assert_array_equal(smoother.update(small, image[:20]).values, true[:20])


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError):
        SmoothingConfig(keep=1.0)
