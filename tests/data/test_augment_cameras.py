"""Cameras that were mounted otherwise: pixels, depth, ids and intrinsics move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.episodes import make_episode

from vla_data.augment import CameraWarp, ColourJitter
from vla_data.augment.cameras import Warp, crop_matrix, turn_matrix, warped
from vla_data.augment.lazy import ChangedImages
from vla_data.config import from_dict
from vla_data.errors import ConfigError
from vla_data.types import ArrayImages, Camera, Episode

WIDTH, HEIGHT = 96, 72
K = ((80.0, 0.0, 47.0), (0.0, 84.0, 36.5), (0.0, 0.0, 1.0))


def scene(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, depth and ids of points [N, 3] in the camera's frame: a soft dot at each, on black."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image, depth, ids = (
        np.zeros((HEIGHT, WIDTH)),
        np.zeros((HEIGHT, WIDTH)),
        np.zeros((HEIGHT, WIDTH), np.int32),
    )
    for i, point in enumerate(points):
        u, v, _ = np.array(K) @ point / point[2]
        square = (x - u) ** 2 + (y - v) ** 2
        image += np.exp(-square / (2 * 2.0**2))
        depth[square < 36], ids[square < 36] = point[2], i + 1
    frame = np.repeat((200 * image.clip(0, 1))[..., None], 3, axis=2).astype(np.uint8)
    return frame, depth.astype(np.float32), ids


def episode_of(points: np.ndarray, steps: int = 3) -> Episode:
    frame, depth, ids = scene(points)
    return make_episode(
        steps=steps,
        images={"front": ArrayImages(np.stack([frame] * steps))},
        depth={"front": np.stack([depth] * steps)},
        cameras={"front": Camera("front", WIDTH, HEIGHT, K)},
        series={"segmentation/front": np.stack([ids] * steps), "reward": np.zeros(steps, np.float32)},
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_point_appears_where_the_new_intrinsics_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    point = np.array([rng.uniform(-0.12, 0.12), rng.uniform(-0.08, 0.08), rng.uniform(0.9, 1.4)])
    warp = CameraWarp(crop=0.8, shift=0.05, zoom=0.1, roll=20.0)
    changed = warp(episode_of(point[None]), rng)
    camera = changed.cameras["front"]
    assert camera.intrinsics is not None
    u, v, w = np.array(camera.intrinsics) @ point
    u, v = u / w, v / w
    image = changed.images["front"][0][..., 0].astype(float)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert (image * x).sum() / image.sum() == pytest.approx(u, abs=0.15)
    assert (image * y).sum() / image.sum() == pytest.approx(v, abs=0.15)
    assert changed.depth["front"][0][round(v), round(u)] == np.float32(point[2])
    assert changed.series["segmentation/front"][0][round(v), round(u)] == 1
    assert set(np.unique(changed.depth["front"])) <= {np.float32(0), np.float32(point[2])}


def test_intrinsics_are_exactly_the_product() -> None:
    matrix = turn_matrix(np.array([48.0, 36.0]), 0.3, 1.2, np.array([3.0, -2.0]))
    changed = warped(episode_of(np.array([[0, 0, 1.0]])), {"front": lambda w, h: matrix})
    assert np.array_equal(np.array(changed.cameras["front"].intrinsics), matrix @ np.array(K))


def test_the_part_that_is_kept_fills_the_frame() -> None:
    """In pixels, whose edges lie half a pixel outside their centres."""
    matrix = crop_matrix(np.array([12.0, 9.0]), 0.75)
    before = np.array([[12 - 0.5, 9 - 0.5, 1], [12 + 0.75 * WIDTH - 0.5, 9 + 0.75 * HEIGHT - 0.5, 1]]).T
    after = matrix @ before
    np.testing.assert_allclose(after[:2].T, [[-0.5, -0.5], [WIDTH - 0.5, HEIGHT - 0.5]], atol=1e-9)


def test_a_whole_number_of_pixels_moves_exactly() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    moved = Warp(np.array([[1, 0, 5], [0, 1, -3], [0, 0, 1.0]]), WIDTH, HEIGHT)
    changed = moved.change_image(image, 0)
    np.testing.assert_array_equal(changed[: HEIGHT - 3, 5:], image[3:, : WIDTH - 5])
    np.testing.assert_array_equal(changed[: HEIGHT - 3, :5], np.repeat(image[3:, :1], 5, axis=1))
    assert (moved.nearest(image[..., 0])[:, :5] == 0).all()
    same = Warp(np.eye(3), WIDTH, HEIGHT)
    np.testing.assert_array_equal(same.change_image(image, 0), image)


def test_resampling_agrees_with_pillow() -> None:
    from PIL import Image

    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([x * 2, y * 3, (x + y)], axis=-1).clip(0, 255).astype(np.uint8)
    matrix = turn_matrix(np.array([WIDTH / 2, HEIGHT / 2]), 0.2, 1.1, np.array([2.5, -1.25]))
    ours = Warp(matrix, WIDTH, HEIGHT).change_image(image, 0).astype(int)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    back = (half @ np.linalg.inv(matrix) @ np.linalg.inv(half))[:2].reshape(-1)
    theirs = Image.fromarray(image).transform(
        (WIDTH, HEIGHT), Image.Transform.AFFINE, tuple(back), Image.Resampling.BILINEAR
    )
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(ours[inner] - np.asarray(theirs).astype(int)[inner]).max() <= 1


def test_what_is_drawn_holds_for_the_whole_episode_and_each_camera_by_itself() -> None:
    rng = np.random.default_rng(0)
    still = ArrayImages(np.stack([rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)] * 4))
    cameras = {n: Camera(n, WIDTH, HEIGHT, K) for n in ("a", "b")}
    episode = make_episode(steps=4, images={"a": still, "b": still}, cameras=cameras, depth={}, series={})
    for change in (CameraWarp(roll=5.0), ColourJitter()):
        made = change(episode, np.random.default_rng(1))
        assert all(np.array_equal(made.images["a"][i], made.images["a"][0]) for i in range(4))
        assert not np.array_equal(made.images["a"][0], still[0])
        other = change(episode, np.random.default_rng(2))
        assert not np.array_equal(made.images["a"][0], other.images["a"][0])
    moved = CameraWarp(roll=5.0)(episode, np.random.default_rng(1))
    assert moved.cameras["a"].intrinsics != moved.cameras["b"].intrinsics
    shared, apart = (ColourJitter(apart=a)(episode, np.random.default_rng(1)) for a in (False, True))
    assert np.array_equal(shared.images["a"][0], shared.images["b"][0])
    assert not np.array_equal(apart.images["a"][0], apart.images["b"][0])


def test_cameras_that_are_not_named_stay() -> None:
    episode = make_episode(steps=3)
    changed = CameraWarp(cameras=("wrist",))(episode, np.random.default_rng(0))
    assert changed.images["front"] is episode.images["front"]
    assert changed.depth["front"] is episode.depth["front"]
    assert changed.cameras["front"] == episode.cameras["front"]
    assert isinstance(changed.images["wrist"], ChangedImages)
    assert changed.cameras["wrist"] == episode.cameras["wrist"]  # no intrinsics to carry it into


def test_grey_stays_grey_and_missing_views_stay_missing() -> None:
    grey = np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], 3, axis=2).reshape(4, 6, 3)
    frames = ArrayImages(np.stack([grey, np.zeros_like(grey)]))
    episode = make_episode(steps=2, images={"front": frames}, depth={}, cameras={}, series={})
    for seed in range(20):
        shown = ColourJitter(hue=90.0)(episode, np.random.default_rng(seed)).images["front"]
        assert np.ptp(shown[0].astype(int), axis=2).max() <= 1
        assert not shown[1].any()


def test_ranges_that_make_no_sense_are_refused() -> None:
    for wrong in ({"crop": 0.0}, {"crop": 1.1}, {"shift": -0.1}, {"zoom": 1.0}, {"roll": 200.0}):
        with pytest.raises(ConfigError):
            from_dict(CameraWarp, wrong)
    with pytest.raises(ConfigError):
        ColourJitter(brightness=2.0)
    sized = replace(
        make_episode(steps=2), cameras={"front": Camera("front", 10, 10), "wrist": Camera("wrist", 16, 16)}
    )
    with pytest.raises(ConfigError, match="another size"):
        CameraWarp(cameras=("front",))(replace(sized, depth={}), np.random.default_rng(0)).images["front"][0]
