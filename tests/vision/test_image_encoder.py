import pytest
import torch

from vla_data.errors import ConfigError
from vla_vision import ImageEncoder, ImageEncoderConfig


def test_features_have_the_published_width_and_stay_within_the_image():
    encoder = ImageEncoder(ImageEncoderConfig(channels=8))
    images = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    features = encoder(images, torch.randn(5, 64))
    assert features.shape == (5, encoder.feature_dim)
    assert features.abs().max() <= 1.0


def test_spatial_softmax_points_at_the_spot():
    encoder = ImageEncoder(ImageEncoderConfig(channels=4))
    maps = torch.zeros(1, 4, 15, 15)
    maps[0, :, 3, 11] = 50.0
    features = encoder._spatial_softmax(maps)
    x, y = features[0, :4], features[0, 4:]
    torch.testing.assert_close(x, torch.full((4,), -1 + 2 * 11 / 14), atol=1e-4, rtol=0)
    torch.testing.assert_close(y, torch.full((4,), -1 + 2 * 3 / 14), atol=1e-4, rtol=0)


def test_condition_starts_without_effect_and_can_be_learned():
    encoder = ImageEncoder(ImageEncoderConfig(channels=8, condition_dim=4))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    a, b = torch.randn(2, 4), torch.randn(2, 4)
    torch.testing.assert_close(encoder(images, a), encoder(images, b))
    target = torch.rand(2, encoder.feature_dim)
    optimiser = torch.optim.Adam(encoder.film.parameters(), 1e-2)
    for _ in range(5):
        optimiser.zero_grad()
        (encoder(images, a) - target).square().mean().backward()
        optimiser.step()
    assert not torch.allclose(encoder(images, a), encoder(images, b), atol=1e-4)


def test_images_smaller_than_the_stem_are_refused():
    with pytest.raises(ConfigError, match="smaller than the stem"):
        ImageEncoder(ImageEncoderConfig(height=4, width=64))
