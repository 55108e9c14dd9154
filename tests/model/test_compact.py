import pytest
import torch

from vla_model.policies.compact import CompactConfig, CompactNetwork
from vla_model.policies.heads import CodesHead
from vla_model.policies.shapes import PolicyShapes

SHAPES = PolicyShapes(2, 32, 32, 3, 11, 8, 4, levels=3, codebook_size=16)


def batch(size: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "images": torch.randint(0, 256, (size, 1, 2, 3, 32, 32), dtype=torch.uint8, generator=generator),
        "state": torch.randn(size, 3, generator=generator),
        "text": torch.randint(0, 11, (size, 5), generator=generator),
    }


@pytest.mark.parametrize("head", ["codes", "continuous"])
def test_a_few_samples_can_be_learned_by_heart(head):
    torch.manual_seed(0)
    network = CompactNetwork(CompactConfig(head=head, channels=16, hidden_dim=64, word_dropout=0.0), SHAPES)
    data = batch()
    data["target"] = torch.randint(0, 16, (6, 3)) if head == "codes" else torch.rand(6, 8, 4) * 2 - 1
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(300):
        optimiser.zero_grad()
        network.training_loss(data)["loss"].backward()
        optimiser.step()
    answer = network(data)
    if head == "codes":
        assert (answer == data["target"]).float().mean() > 0.9
    else:
        assert (answer - data["target"]).abs().mean() < 0.1


def test_words_beyond_padding_change_the_answer_and_padding_does_not():
    torch.manual_seed(0)
    network = CompactNetwork(CompactConfig(head="continuous"), SHAPES).eval()
    data = batch(2)
    one = {"images": data["images"][:1], "state": data["state"][:1]}
    two = {name: values.repeat(2, *[1] * (values.dim() - 1)) for name, values in one.items()}
    a, b = network({**two, "text": torch.tensor([[1, 2, 0, 0, 0], [1, 2, 3, 0, 0]])})
    assert not torch.allclose(a, b)
    longer = torch.tensor([[1, 2, 0, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(network({**one, "text": longer})[0], a)


def test_later_codes_depend_on_earlier_ones():
    torch.manual_seed(0)
    head = CodesHead(8, levels=2, codebook_size=4)
    embedding = head.embeddings[0]
    assert isinstance(embedding, torch.nn.Embedding)
    torch.nn.init.normal_(embedding.weight, std=10)
    features = torch.randn(64, 8)
    codes = head(features)
    assert codes.shape == (64, 2)
    first, second = codes[:, 0], codes[:, 1]
    assert any((second[first == c] != second[first != c].mode().values).any() for c in first.unique())
