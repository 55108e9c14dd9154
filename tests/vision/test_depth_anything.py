"""Depth Anything through transformers, tiny and random: kinds, sizes, batches, weights that are not there."""

import json
import logging
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from vla_data.errors import CheckpointError, DataError, MissingDependencyError, UnknownNameError
from vla_vision.depth import LoadConfig, load_depth
from vla_vision.depth.depth_anything import load_depth_anything, tiny_config, with_size
from vla_vision.types import DepthModel


def save_tiny(directory: Path, kind: str = "relative", **changes: object) -> Path:
    from transformers import DepthAnythingForDepthEstimation

    torch.manual_seed(0)
    config = tiny_config(kind)  # type: ignore[arg-type]
    DepthAnythingForDepthEstimation(config).save_pretrained(directory)
    if changes:
        path = directory / "config.json"
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    return directory


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("relative"))


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("metric"), "metric")


def frames(count: int = 3, height: int = 60, width: int = 80) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8))


def test_both_kinds_say_what_their_numbers_mean(relative: Path, metric: Path) -> None:
    one, two = load_depth_anything(relative, size=56), load_depth_anything(metric, size=56)
    assert isinstance(one, DepthModel)
    assert one.spec.meaning == "relative: no unit, larger is nearer"
    assert two.spec.meaning == "metric: m, larger is farther"
    depth = two.infer(frames())[0]
    assert (depth.kind, depth.values.shape, depth.values.dtype) == ("metric", (60, 80), np.float32)
    assert depth.values.min() > 0
    assert depth.values.max() <= 10.0  # tiny_config's max_depth
    assert one.infer(frames())[0].kind == "relative"


def test_a_config_that_does_not_say_counts_as_relative_and_can_be_corrected(tmp_path: Path) -> None:
    silent = save_tiny(tmp_path / "silent", "metric", depth_estimation_type=None)
    assert load_depth_anything(silent, size=56).spec.kind == "relative"
    said = load_depth_anything(silent, size=56, kind="metric")
    assert said.spec.kind == "metric"
    whole = load_depth_anything(save_tiny(tmp_path / "whole", "metric"), size=56)
    np.testing.assert_array_equal(said.infer(frames())[0].values, whole.infer(frames())[0].values)


def test_batches_and_repeats_agree(relative: Path) -> None:
    model = load_depth_anything(relative, size=56, batch_size=2)
    mixed = [*frames(3), *frames(2, 48, 48), *frames(1)]
    together, alone = model.infer(mixed), [model.infer([f])[0] for f in mixed]
    for a, b, frame in zip(together, alone, mixed, strict=True):
        assert a.values.shape == frame.shape[:2]
        np.testing.assert_allclose(a.values, b.values, atol=1e-5)
    for a, b in zip(together, model.infer(mixed), strict=True):
        np.testing.assert_array_equal(a.values, b.values)


def test_input_is_prepared_as_the_published_processor_does(relative: Path) -> None:
    """Same mean, deviation and multiple of 14; frames of the network's own size pass unchanged."""
    from transformers import DPTImageProcessor

    from vla_vision.depth.spec import prepare

    spec = with_size(load_depth_anything(relative), 56).spec
    frame = frames(1, 56, 84)[0]
    theirs = DPTImageProcessor(
        size={"height": 56, "width": 84},
        ensure_multiple_of=14,
        keep_aspect_ratio=True,
        image_mean=list(spec.mean),
        image_std=list(spec.std),
    )(frame, return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(prepare([frame], spec), theirs, atol=1e-5)
    assert spec.input_shape(480, 640) == (56, 70)
    assert with_size(load_depth_anything(relative), 252).spec.input_shape(480, 640) == (252, 336)


def test_frames_that_show_nothing_have_unknown_depth(metric: Path) -> None:
    black = np.zeros((60, 80, 3), np.uint8)
    dark, other = load_depth_anything(metric, size=56).infer([black, frames(1)[0]])
    assert not dark.values.any()
    assert other.values.any()


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_frame_is_refused(metric: Path, bad: np.ndarray, unchecked_shapes: None) -> None:
    with pytest.raises(DataError, match="not a frame"):
        load_depth_anything(metric, size=56).infer([bad])


def test_missing_weights_touch_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for weights in ("depth-anything/Depth-Anything-V2-Small-hf", str(tmp_path / "nowhere")):
        with pytest.raises(MissingDependencyError, match="not on this machine") as caught:
            load_depth(weights)
        assert "--download" in str(caught.value.next_step)
        assert "train-depth" in str(caught.value.next_step)
        assert "CC-BY-NC" in str(caught.value.next_step)


def test_damaged_and_foreign_weights(tmp_path: Path) -> None:
    cut = save_tiny(tmp_path / "cut")
    whole = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_depth(cut)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="another kind of model"):
        load_depth(other)
    bent = save_tiny(tmp_path / "bent", fusion_hidden_size=16)
    with pytest.raises(CheckpointError):
        load_depth(bent)


def test_unknown_size(relative: Path) -> None:
    with pytest.raises(UnknownNameError, match="size"):
        load_depth(relative, LoadConfig(size="hughe"))


def test_loading_leaves_logging_as_it_was(relative: Path) -> None:
    from transformers.utils import logging as hub

    hub.set_verbosity(logging.WARNING)
    load_depth_anything(relative, size=56)
    assert hub.get_verbosity() == logging.WARNING
