"""Image tokens: counts, what they say of places, what the condition does."""

import pytest
import torch

from vla_vision.image_encoder import ImageEncoderConfig
from vla_vision.image_tokens import ImageTokens

CONFIG = ImageEncoderConfig(32, 48, channels=8, layers=1, condition_dim=4)


@pytest.mark.parametrize(("tokens", "count"), [(5, 5), (0, (7 // 2) * (11 // 2))])
def test_there_are_as_many_as_said(tokens: int, count: int):
    made = ImageTokens(CONFIG, tokens, 12)
    images = torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8)
    assert made.count == count
    assert made(images, torch.randn(3, 4)).shape == (3, count, 12)


def test_without_a_tokenlearner_each_token_tells_its_place():
    made = ImageTokens(CONFIG, 0, 10)
    with torch.no_grad():
        made.out.weight.zero_()
        made.out.bias.zero_()
        made.out.weight[0, 8] = made.out.weight[1, 9] = 1.0  # after eight channels, x and y
    images = torch.zeros(1, 3, 32, 48, dtype=torch.uint8)
    places = made(images)[0, :, :2].view(3, 5, 2)
    torch.testing.assert_close(places[0, :, 0], torch.linspace(-1, 1, 5))
    torch.testing.assert_close(places[:, 2, 1], torch.linspace(-1, 1, 3))


@pytest.mark.parametrize("tokens", [4, 0])
def test_a_spot_is_found(tokens: int):
    """A head on tokens learns where the bright square is."""
    torch.manual_seed(0)
    made = ImageTokens(ImageEncoderConfig(32, 32, 8, 1, condition_dim=0), tokens, 16)
    head = torch.nn.Linear(16 * made.count, 2)
    optimiser = torch.optim.Adam([*made.parameters(), *head.parameters()], 5e-3)
    off = torch.ones(())
    for _ in range(300):
        at = torch.randint(0, 25, (32, 2))
        images = torch.zeros(32, 3, 32, 32, dtype=torch.uint8)
        for i, (x, y) in enumerate(at.tolist()):
            images[i, :, y : y + 8, x : x + 8] = 255
        off = (head(made(images).flatten(1)) - at / 12 + 1).abs().mean()
        optimiser.zero_grad()
        off.backward()
        optimiser.step()
    assert float(off) < 0.15
