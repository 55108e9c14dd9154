"""Things named in words: tiny networks with random weights, made on the spot, through the same protocol."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.vision.detection_cases import picture

from vla_data.errors import CheckpointError, ConfigError
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.open_vocabulary import OpenVocabularyDetector, open_vocabulary
from vla_vision.detection.registry import load_detector
from vla_vision.types import Detector

PROMPTS = ("red box", "disc")
ANY = DetectOptions(score=0.0, max_detections=5)


@pytest.fixture(scope="module")
def owl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of OWLv2 as transformers saves it."""
    from transformers import (
        CLIPTokenizer,
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    where = tmp_path_factory.mktemp("owl")
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = ["!", "<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    (where / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (where / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(where / "vocab.json"), str(where / "merges.txt"), model_max_length=16)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = small | {
        "vocab_size": len(words),
        "max_position_embeddings": 16,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    config = Owlv2Config(
        text_config=text, vision_config=small | {"image_size": 64, "patch_size": 16}, projection_dim=16
    )
    torch.manual_seed(0)
    Owlv2ForObjectDetection(config).save_pretrained(where)
    pictures = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    Owlv2Processor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(where)
    return where


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of Grounding DINO as transformers saves it."""
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    where = tmp_path_factory.mktemp("dino")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "?", "red", "box", "disc"]
    (where / "vocab.txt").write_text("\n".join(words))
    bert = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    swin = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=4,
        image_size=64,
    )
    swin.out_indices = [2, 3, 4]
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, encoder_layers=1, decoder_layers=2, num_queries=6,
        max_text_len=16,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2,
        num_feature_levels=4, positional_embedding_temperature=20,
    )  # fmt: skip
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(where)
    pictures = GroundingDinoImageProcessor(size={"shortest_edge": 128, "longest_edge": 160})
    GroundingDinoProcessor(pictures, BertTokenizer(str(where / "vocab.txt"))).save_pretrained(where)
    return where


@pytest.fixture(params=["owl", "dino"])
def weights(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_any_words_are_looked_for_without_a_network(weights, monkeypatch):
    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    detector = load_detector(weights, options=ANY, class_names=PROMPTS)
    assert isinstance(detector, Detector)
    assert detector.class_names == PROMPTS
    image, _ = picture(np.random.default_rng(0))
    found = detector.detect([image, np.zeros((30, 50, 3), np.uint8)])
    for detections, size in zip(found, (image.shape, (30, 50)), strict=True):
        assert 0 < len(detections) <= 5
        assert (np.diff(detections.scores) <= 0).all()
        assert detections.boxes.min() >= 0
        assert (detections.boxes[:, 2:] <= [size[1], size[0]]).all()
        assert set(detections.classes.tolist()) <= {0, 1}


def test_boxes_are_those_of_transformers(weights):
    """Before overlaps are suppressed: the library's own post-processing as the peer."""
    options = DetectOptions(score=0.0, iou=1.0, max_detections=500)
    detector = open_vocabulary(str(weights), PROMPTS, options)
    image, _ = picture(np.random.default_rng(1))
    found = detector.detect([image])[0]
    processor, text = detector._processor, [["red box", "disc"]]
    inputs = processor(
        text=text if detector.family == "owlv2" else "red box. disc.", images=[image], return_tensors="pt"
    )
    with torch.inference_mode():
        outputs = detector._model(**inputs)
    peer = processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[image.shape[:2]]
    )[0]
    boxes = np.clip(peer["boxes"].numpy(), 0, [image.shape[1], image.shape[0]] * 2)
    for box in found.boxes:
        assert np.abs(boxes - box).max(axis=1).min() < 1e-2
    if detector.family == "owlv2":
        np.testing.assert_allclose(
            np.sort(found.scores)[::-1][:3], np.sort(peer["scores"].numpy())[::-1][:3], atol=1e-5
        )


def test_every_prompt_has_its_tokens(dino):
    detector = open_vocabulary(str(dino), PROMPTS, ANY)
    assert detector._groups([2, 6, 7, 4, 8, 4, 3]) == [[1, 2], [4]]  # [CLS] red box . disc . [SEP]


def test_too_many_words_are_refused(dino):
    prompts = tuple(" ".join(["red"] * i) for i in range(1, 8))
    with pytest.raises(ConfigError, match="too long together"):
        open_vocabulary(str(dino), prompts, ANY).detect([np.zeros((40, 40, 3), np.uint8)])


@pytest.mark.parametrize("prompts", [(), ("",), ("a", "a"), ("red. box",)])
def test_prompts_must_be_different_words(owl, prompts):
    with pytest.raises(ConfigError, match="needs words"):
        load_detector(owl, class_names=prompts)


def test_weights_that_are_not_here_are_not_fetched(tmp_path, monkeypatch):
    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match="no model for an open vocabulary") as error:
        load_detector("someone/nothing", class_names=PROMPTS)
    assert "--allow-download" in str(error.value.next_step)


def test_another_model_is_refused(tmp_path, owl):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="open vocabulary"):
        load_detector(tmp_path, class_names=PROMPTS)
    detector = open_vocabulary(str(owl), PROMPTS)
    detector._model.config.model_type = "other"
    with pytest.raises(CheckpointError, match="does not find things by words"):
        OpenVocabularyDetector(detector._model, detector._processor, PROMPTS, ANY)
