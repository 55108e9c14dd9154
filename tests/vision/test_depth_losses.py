"""Losses: worked out by hand, blind to what is not valid, finite in every gradient."""

import pytest
import torch

from vla_vision.depth.losses import gradient_loss, scale_invariant_loss


def test_scale_invariant_loss_by_hand() -> None:
    error = torch.tensor([[[1.0, 3.0], [99.0, 99.0]]])
    valid = torch.tensor([[[True, True], [False, False]]])
    assert float(scale_invariant_loss(error, valid, 0.5)) == pytest.approx((5 - 0.5 * 4) ** 0.5, rel=1e-5)
    assert float(scale_invariant_loss(error, valid, 1.0)) == pytest.approx(1.0, rel=1e-5)


def test_a_wrong_scale_is_forgiven_as_asked() -> None:
    error, valid = torch.full((2, 8, 8), 0.7), torch.ones(2, 8, 8, dtype=torch.bool)
    assert float(scale_invariant_loss(error, valid, 1.0)) < 2e-3
    assert float(scale_invariant_loss(error, valid, 0.0)) == pytest.approx(0.7, rel=1e-4)


def test_gradient_loss_sees_edges_only_between_valid_neighbours() -> None:
    error = torch.zeros(1, 8, 8)
    error[:, :, 4:] = 1.0
    valid = torch.ones(1, 8, 8, dtype=torch.bool)
    assert float(gradient_loss(torch.full((1, 8, 8), 5.0), valid)) == 0.0
    assert float(gradient_loss(error, valid)) > 0
    valid[:, :, 4:] = False
    assert float(gradient_loss(error, valid)) == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_is_not_valid_does_not_count(bad: float) -> None:
    error = torch.randn(3, 8, 8)
    valid = torch.rand(3, 8, 8) > 0.3
    spoilt = torch.where(valid, error, bad)
    for loss in (lambda e: scale_invariant_loss(e, valid), lambda e: gradient_loss(e, valid)):
        assert torch.equal(loss(error), loss(spoilt))
    leaf = spoilt.clone().requires_grad_()
    (scale_invariant_loss(leaf, valid) + gradient_loss(leaf, valid)).backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert not leaf.grad[~valid].any()


def test_pictures_without_a_valid_pixel_and_perfect_ones_have_finite_gradients() -> None:
    error = torch.zeros(2, 4, 4, requires_grad=True)
    valid = torch.zeros(2, 4, 4, dtype=torch.bool)
    valid[0] = True
    (scale_invariant_loss(error, valid) + gradient_loss(error, valid)).backward()
    assert error.grad is not None
    assert torch.isfinite(error.grad).all()
    assert float(scale_invariant_loss(error.detach(), torch.zeros_like(valid))) == 0.0
