"""Training: stores what it saw, learns, resumes to the same weights, and says what it cannot learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.vision.encoder_cases import CLASSES, blocks, seen_episode, small_features
from tests.vision.labelled import FAR, Source

from vla_data.config import from_dict, merge, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from vla_data.usable import Skipped
from vla_vision.encoder.checkpoint import load_encoder
from vla_vision.encoder.clips import FeatureStore
from vla_vision.encoder.evaluation import evaluate
from vla_vision.encoder.extraction import ExtractConfig, extract_features, stored_features
from vla_vision.encoder.train_config import PRESETS, TrainEncoderConfig
from vla_vision.encoder.training import EncoderTraining, fit_encoder, hide, split_clips, train_encoder
from vla_vision.encoder.windows import WindowBatches, WindowTable, plain_batch
from vla_vision.perception.sight import SightConfig

SIGHT = {"detector": "labels", "look": "none"}


def config(**changes: object) -> TrainEncoderConfig:
    return merge(PRESETS["debug"](), {"sight": SIGHT, **changes})


def extract(**changes: object) -> ExtractConfig:
    return replace(config().extract, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return extract_features(blocks(), extract(), tmp_path_factory.mktemp("features"))


def quiet(progress: object) -> None:
    return None


def test_features_are_stored_whole_and_read_back(store: FeatureStore):
    assert [c.episode for c in store.clips] == [0, 1, 2]
    assert store.config.class_names == CLASSES
    clip = store[1]
    assert clip.features.rgb.shape == (16, 32, 32, 3)
    assert clip.info.depth == "sensor"
    assert clip.truth is not None
    assert clip.truth.visible.shape == (16, 3)
    with pytest.raises(IndexError):
        store[3]


def test_a_clip_that_is_there_is_kept_unless_it_was_made_otherwise(tmp_path: Path):
    source = blocks(2, 4)
    extract_features(source, extract(), tmp_path)
    times = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.safetensors")}
    extract_features(source, extract(), tmp_path)
    assert times == {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.safetensors")}
    thin = extract_features(source, extract(every=2), tmp_path)
    assert [c.frames for c in thin.clips] == [2, 2]
    assert thin[0].info.frame_rate == store_rate(source) / 2


def store_rate(source: Source) -> float:
    return source.robot.action.control_hz


def test_several_workers_store_the_same(tmp_path: Path, store: FeatureStore):
    again = extract_features(blocks(), extract(), tmp_path, workers=2)
    assert again.clips == store.clips
    for one, two in zip(store, again, strict=True):
        for name, array in one.features.arrays().items():
            np.testing.assert_array_equal(array, two.features.arrays()[name])


def test_stored_features_that_were_changed_are_refused(tmp_path: Path):
    extract_features(blocks(2, 4), extract(), tmp_path)
    path = next(tmp_path.glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="manifest"):
        FeatureStore(tmp_path)


def test_features_are_found_again_where_they_are_of_the_same(tmp_path: Path):
    source = blocks(2)
    config = ExtractConfig(small_features(), SightConfig("labels", look="none"))
    made = extract_features(source, config, tmp_path, quiet)
    found = stored_features(source, config, tmp_path)
    assert found is not None
    assert found.clips == made.clips
    assert stored_features(blocks(3), config, tmp_path) is None
    assert stored_features(source, replace(config, every=2), tmp_path) is None
    assert stored_features(source, config, tmp_path / "nowhere") is None


def test_what_cannot_be_extracted(tmp_path: Path):
    source = blocks(2, 4)
    with pytest.raises(UnknownNameError, match="frnt"):
        extract_features(source, extract(cameras=("frnt",)), tmp_path)
    with pytest.raises(DataError, match="nothing to look at"):
        extract_features(Source(()), extract(), tmp_path)
    spoons = extract(
        features=replace(extract().features, class_names=("spoon",)), sight=SightConfig(detector="blobs")
    )
    with pytest.raises(ConfigError, match="knows none of the encoder's classes"):
        extract_features(source, spoons, tmp_path)
    bare = Source((source[0], replace(source[1], series={}, metadata={})))
    with pytest.raises(DataError, match="without labels"):
        extract_features(bare, extract(), tmp_path)
    skipped: list[Skipped] = []
    kept = extract_features(bare, extract(), tmp_path, skip_corrupt=True, skipped=skipped)
    assert [c.episode for c in kept.clips] == [0]
    assert [s.index for s in skipped] == [1]


def test_windows_reach_back_and_ahead_within_their_clip(store: FeatureStore):
    table = WindowTable.of([store[0], store[1]], ahead=0.2)
    rate = store_rate(blocks(1))
    steps = round(0.2 * rate)
    assert table.history(np.array([0, 1, 16, 20]), 3).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [16, 16, 16],
        [18, 19, 20],
    ]
    assert table.later[[0, 5, 15, 16]].tolist() == [steps, 5 + steps, 15, 16 + steps]
    np.testing.assert_allclose(table.gap[[0, 15]], [steps / rate, 0])
    batch = plain_batch(table, np.array([3, 15]), 2)
    np.testing.assert_array_equal(batch["next.rgb"][0], store[0].features.rgb[3 + steps])
    np.testing.assert_array_equal(batch["now.rgb"][0], store[0].features.rgb[3])
    np.testing.assert_array_equal(batch["rgb"][0, 0], store[0].features.rgb[2])
    np.testing.assert_array_equal(batch["truth.visible"][1], store[0].truth.visible[15])  # type: ignore[union-attr]


def test_a_batch_follows_from_its_step_and_hides_but_does_not_forget(store: FeatureStore):
    table = WindowTable.of(list(store), 0.15)
    batches = WindowBatches(table, config(drop=0.5, fit={"batch_size": 64}))
    one, again, other = batches(3), batches(3), batches(4)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    gone = ~one["depth"].flatten(1).any(1)
    assert 10 < int(gone.sum()) < 54
    np.testing.assert_allclose(one["now.depth"].float(), FAR, rtol=1e-3)
    for slots in one["objects.slots"][:, 0]:
        assert sorted(slots.tolist()) == [0, 1, 2, 3]
    assert len({tuple(s.tolist()) for s in one["objects.slots"][:, 0]}) > 5


def test_hiding_leaves_out_one_kind_of_token(store: FeatureStore):
    training = EncoderTraining(config(encoder={"features": to_dict(store.config)}))
    batch = plain_batch(WindowTable.of(list(store), 0.15), np.arange(3), 1)
    tokens = training.encoder(batch)
    hidden = hide(tokens, torch.tensor([0, 1, 2]), 4)
    assert torch.equal(hidden.mask[0], tokens.mask[0])
    assert not hidden.mask[1, :4].any()
    assert hidden.mask[1, 4:].all()
    assert torch.equal(hidden.mask[2, :4], tokens.mask[2, :4])
    assert not hidden.mask[2, 4:].any()


def test_gradients_reach_everything_that_is_trained(store: FeatureStore):
    chosen = config(
        encoder={"features": to_dict(store.config)}, loss={"labels": 1.0}, fit={"batch_size": 24}, hide=0.0
    )
    training = EncoderTraining(chosen)
    batch = WindowBatches(WindowTable.of(list(store), 0.15), chosen)(0)
    losses = training.training_loss(batch)
    assert set(losses) == {"loss", "rows", "rgb", "depth", "flow", "labels"}
    losses["loss"].backward()
    idle = [n for n, p in training.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_no_object_at_all_is_no_reason_to_fail(store: FeatureStore):
    training = EncoderTraining(config(encoder={"features": to_dict(store.config), "parts": "objects"}))
    batch = plain_batch(WindowTable.of(list(store), 0.15), np.arange(4), 1)
    batch["objects.valid"] = torch.zeros_like(batch["objects.valid"])
    losses = training.training_loss(batch)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(p.grad).all() for p in training.parameters() if p.grad is not None)


def test_learns_what_pictures_hold(store: FeatureStore, tmp_path: Path):
    chosen = config(
        encoder={"features": to_dict(store.config), "cell": 4},
        fit={"steps": 90, "batch_size": 8, "learning_rate": 8e-3},
        colour=0.0,
    )
    training, learnt, held, result = fit_encoder(store, chosen, tmp_path, quiet)
    assert result.history["rgb"][-1][1] < 0.5 * result.history["rgb"][0][1]
    scores = {(s.kind, s.time, s.pixels): s for s in evaluate(training, learnt, held)}
    assert scores["depth", "now", "all"].encoder < 0.1
    assert scores["flow", "now", "moving"].encoder < scores["flow", "now", "moving"].baseline


def test_a_run_leaves_an_encoder_a_page_and_pictures(tmp_path: Path):
    summary, sections = train_encoder(blocks(), config(encoder={"history": 2}), tmp_path, quiet)
    encoder, record = load_encoder(tmp_path)
    assert record.encoder == encoder.config
    assert record.sight.detector == "labels"
    assert record.encoder.features.class_names == CLASSES
    assert summary["tokens_per_frame"] == encoder.tokens_per_frame == 8
    assert summary["train_frames"] == 32
    assert summary["depth"] == ["sensor"]
    assert sections[0].title == "Encoder"
    names = {p.name for p in (tmp_path / "pictures").iterdir()}
    assert names == {"made-0.png", "attention-0.png"}


def test_resumes_to_the_same_weights(tmp_path: Path):
    class StopError(Exception):
        pass

    def stop(progress: object) -> None:
        if getattr(progress, "stage", "") == "train-encoder" and getattr(progress, "done", 0) >= 20:
            raise StopError

    source, chosen = blocks(), config()
    train_encoder(source, chosen, tmp_path / "whole")
    with pytest.raises(StopError):
        train_encoder(source, chosen, tmp_path / "cut", stop)
    assert (tmp_path / "cut" / ".resume").is_dir()
    train_encoder(source, chosen, tmp_path / "cut")
    one, two = ((tmp_path / n / "encoder" / "encoder.safetensors").read_bytes() for n in ("whole", "cut"))
    assert one == two


def test_episodes_without_depth_labels_or_objects_still_train(tmp_path: Path):
    plain = [replace(seen_episode(i, depth=False), series={}, metadata={}) for i in range(2)]
    chosen = config(sight={"detector": None}, fit={"steps": 3})
    summary, _ = train_encoder(Source(tuple(plain)), chosen, tmp_path / "a", quiet)
    assert summary["depth"] == ["none"]
    assert summary["classes"] == []
    assert not [name for name in summary if name.startswith("depth_")]
    with pytest.raises(DataError, match="no labels to learn from"):
        train_encoder(Source(tuple(plain)), merge(chosen, {"loss": {"labels": 1.0}}), tmp_path / "b", quiet)
    with pytest.raises(DataError, match="too little"):
        train_encoder(Source(tuple(plain[:1])), chosen, tmp_path / "c", quiet)


def test_patches_learn_from_labels_without_a_detector(tmp_path: Path):
    changes = {
        "sight": {"detector": None, "look": "none", "depth": "none"},
        "encoder": {"parts": "patches", "channels": ["rgb", "flow"]},
        "loss": {"labels": 1.0},
        "fit": {"steps": 3},
    }
    chosen = merge(PRESETS["debug"](), changes)
    summary, _ = train_encoder(blocks(), chosen, tmp_path, quiet)
    _, record = load_encoder(tmp_path)
    assert record.encoder.features.class_names == CLASSES
    assert summary["seconds_training"] >= 0


def test_held_out_episodes_are_held_out(store: FeatureStore):
    learnt, held = split_clips(store, config(holdout=0.4), "blocks")
    assert {c.info.episode for c in learnt}.isdisjoint({c.info.episode for c in held})
    assert len(held) == 1
    again = split_clips(store, config(holdout=0.4), "blocks")[1]
    assert [c.info for c in again] == [c.info for c in held]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_travel_through_json(name: str):
    assert from_dict(TrainEncoderConfig, to_dict(PRESETS[name]())) == PRESETS[name]()


def test_training_that_makes_no_sense_is_refused():
    for wrong in ({"holdout": 0.0}, {"ahead": 0.0}, {"hide": 1.5}, {"every": 0}):
        with pytest.raises(ConfigError):
            assert config(**wrong).extract  # `every` is refused where it is used
    with pytest.raises(ConfigError, match="less than nothing"):
        config(loss={"depth": -1.0})
