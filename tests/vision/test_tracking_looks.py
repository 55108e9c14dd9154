"""How looks are described, remembered and compared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.scenes import texture

from vla_data.errors import CheckpointError
from vla_data.fit.weights import save_weights
from vla_vision.tracking.embedders import HistogramEmbedder, crops
from vla_vision.tracking.embedding_net import EmbeddingConfig, EmbeddingNet, NetEmbedder
from vla_vision.tracking.gallery import AppearanceConfig, Gallery, LookScale, normalised
from vla_vision.types import Embedder

SMALL = EmbeddingConfig(48, 24, (16, 32), 32)


def dressed(upper: tuple[int, int, int], lower: tuple[int, int, int], light: float = 1.0) -> np.ndarray:
    """Someone in two colours before a grey, noisy wall, uint8 [120, 80, 3]."""
    rng = np.random.default_rng(0)
    image = np.full((120, 80, 3), 120.0)
    image[20:60, 25:55], image[60:110, 25:55] = upper, lower
    return (image * light + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


PERSON = np.array([[22, 18, 58, 112]], np.float32)


def embedders() -> list[Embedder]:
    torch.manual_seed(0)
    return [HistogramEmbedder(), NetEmbedder(EmbeddingNet(SMALL), (48, 24), 32)]


@pytest.mark.parametrize("embedder", embedders(), ids=["histogram", "net"])
def test_embeddings_have_length_one_and_do_not_depend_on_their_neighbours(embedder: Embedder):
    image = texture(1)
    boxes = np.array(
        [[10, 20, 60, 120], [-30, -30, 20, 40], [300, 200, 400, 300], [500, 500, 600, 600]], np.float32
    )
    together = embedder.embed(image, boxes)
    np.testing.assert_allclose(np.linalg.norm(together[:3], axis=1), 1, atol=1e-5)
    assert not together[3].any()
    np.testing.assert_allclose(embedder.embed(image, boxes[:1])[0], together[0], atol=1e-5)
    assert embedder.embed(image, boxes[:0]).shape == (0, together.shape[1])


def test_clothes_tell_people_apart_and_light_does_not():
    embedder = HistogramEmbedder()
    red = embedder.embed(dressed((200, 40, 40), (40, 40, 160)), PERSON)[0]
    darker = embedder.embed(dressed((200, 40, 40), (40, 40, 160), 0.8), PERSON + 2)[0]
    swapped = embedder.embed(dressed((40, 40, 160), (200, 40, 40)), PERSON)[0]
    green = embedder.embed(dressed((40, 170, 60), (90, 80, 70)), PERSON)[0]
    assert red @ darker > max(red @ swapped, red @ green) + 0.1


def test_crops_outside_are_none_and_others_have_one_size():
    image = texture(2)
    boxes = np.array([[0, 0, 10, 10], [-50, 0, -1, 20], [310, 230, 330, 250], [float("nan")] * 4], np.float32)
    found = crops(image, boxes, (16, 8))
    assert [p is None for p in found] == [False, True, False, True]
    assert {p.shape for p in found if p is not None} == {(16, 8, 3)}
    expected = cv2.resize(image[:10, :10], (8, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(found[0], expected)


def test_weights_there_and_back_and_wrong_ones(tmp_path: Path):
    net = EmbeddingNet(SMALL)
    save_weights(net, tmp_path / "look.safetensors")
    loaded = NetEmbedder.load(tmp_path / "look.safetensors", SMALL)
    boxes = np.array([[10, 20, 60, 120]], np.float32)
    expected = NetEmbedder(net, (48, 24), 32).embed(texture(3), boxes)
    np.testing.assert_array_equal(loaded.embed(texture(3), boxes), expected)
    with pytest.raises(CheckpointError):
        NetEmbedder.load(tmp_path / "look.safetensors")
    with pytest.raises(CheckpointError):
        NetEmbedder.load(tmp_path / "absent.safetensors", SMALL)


def test_the_net_can_be_trained():
    net = EmbeddingNet(SMALL)
    net(torch.rand(2, 3, 48, 24)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_gallery_remembers_several_views():
    config = AppearanceConfig(views=2, every=1)
    front, back, other = np.eye(3, dtype=np.float32)[:, None]
    gallery = Gallery.empty(2, 3).grow(front)
    gallery.remember(np.array([0]), back, config)
    distances = gallery.distances(np.concatenate([front, back, other]))
    np.testing.assert_allclose(distances[0], [0, 0, 1], atol=1e-5)
    for _ in range(40):
        gallery.remember(np.array([0]), other, config)
    assert gallery.distances(other)[0, 0] == pytest.approx(0, abs=1e-5)
    assert gallery.distances(front)[0, 0] > 0.9
    gallery.remember(np.array([0]), np.zeros((1, 3), np.float32), config)
    assert gallery.distances(other)[0, 0] == pytest.approx(0, abs=1e-5)


def test_the_scale_learns_what_alike_means():
    rng = np.random.default_rng(0)
    scale = LookScale(0.1, 0.4)
    for _ in range(200):
        scale.learn_same(rng.normal(0.02, 0.005, 4))
        scale.learn_other(normalised(np.array([1.0, 0, 0]) + rng.normal(0, 0.25, (4, 3))))
    assert scale.same == pytest.approx(0.02, abs=0.003)
    assert 0.04 < scale.other < 0.2
    assert scale.rescale(np.array([scale.same, scale.other])) == pytest.approx([0, 1])
    before = scale.other
    scale.learn_other(np.ones((1, 3), np.float32))
    assert scale.other == before


@given(st.integers(0, 1000))
def test_normalised_rows(seed: int):
    rows = np.random.default_rng(seed).normal(size=(4, 5)).astype(np.float32)
    rows[1], rows[2, 0] = 0, np.inf
    lengths = np.linalg.norm(normalised(rows), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 0, 1], atol=1e-6)
