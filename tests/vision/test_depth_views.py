"""Virtual cameras: the same picture and depth as a real camera standing there."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.depth_scenes import look

from vla_vision.depth.config import ViewConfig
from vla_vision.depth.views import _rotations, random_views, virtual_views

SIZE = 64
BALL = (0.1, 0.15, 1.5)


def tensors(images: list[np.ndarray], depths: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return stacked, torch.from_numpy(np.stack(depths))


@given(st.floats(-15, 15), st.floats(-12, 12), st.floats(-20, 20), st.floats(0.9, 2.0))
def test_a_virtual_view_is_what_a_turned_camera_sees(
    yaw: float, pitch: float, roll: float, zoom: float
) -> None:
    focal = float(SIZE)
    turn = _rotations(np.deg2rad([[yaw, pitch, roll]]))
    images, depths = tensors(*([v] for v in look(BALL, SIZE, SIZE, focal)))
    seen, far, covered = virtual_views(
        images, depths, torch.tensor([focal]), torch.from_numpy(turn), torch.tensor([focal * zoom])
    )
    real, true = look(BALL, SIZE, SIZE, focal * zoom, turn[0].astype(np.float64))
    inside = covered[0].numpy()
    assert inside.mean() > 0.3
    off = np.abs(far[0].numpy() / true - 1)[inside]
    # Nearest pixels: at edges, and on a floor seen at a low angle, the neighbour's depth is another.
    assert np.quantile(off, 0.9) < 0.05
    assert np.median(off) < 0.015
    colour = np.abs(seen[0].permute(1, 2, 0).numpy() * 255 - real)[inside].mean()
    assert colour < 12


def test_nothing_changes_without_turn_and_zoom() -> None:
    images, depths = tensors(*([v] for v in look(BALL)))
    plain = ViewConfig(turn=0, roll=0, zoom=1, mirror=False, colour=0, plain=0)
    seen, far, focal = random_views(images, depths, torch.tensor([32.0]), plain, np.random.default_rng(0))
    torch.testing.assert_close(seen, images)
    torch.testing.assert_close(far, depths)
    assert focal.tolist() == [32.0]


def test_what_the_old_view_does_not_cover_has_no_depth() -> None:
    images, depths = tensors(*([v] for v in look(BALL)))
    turn = torch.from_numpy(_rotations(np.deg2rad([[60.0, 0.0, 0.0]])))
    _, _, covered = virtual_views(images, depths, torch.tensor([32.0]), turn, torch.tensor([32.0]))
    assert covered.float().mean() < 0.4
    behind = torch.from_numpy(_rotations(np.deg2rad([[180.0, 0.0, 0.0]])))
    assert not virtual_views(images, depths, torch.tensor([32.0]), behind, torch.tensor([32.0]))[2].any()


def test_unknown_depth_stays_unknown_and_views_repeat() -> None:
    images, depths = tensors(*([v] * 6 for v in look(BALL)))
    depths[:, :16] = 0
    focal = torch.full((6,), 32.0)
    one, two = (random_views(images, depths, focal, ViewConfig(), np.random.default_rng(3)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)
    assert (one[1] == 0).any()
    assert one[0].min() >= 0
    assert one[0].max() <= 1
    assert len(set(one[2].tolist())) > 1
