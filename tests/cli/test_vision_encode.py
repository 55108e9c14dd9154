"""`vla vision train-encoder | encode` as a person would type it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.vision.encoder_cases import CLASSES, seen_episode
from tests.vision.labelled import write_labelled

from vla_cli.main import main
from vla_data.errors import CheckpointError
from vla_data.report import write_page
from vla_data.runs import load_run_sections
from vla_data.video import write_mp4
from vla_vision.encoder import load_encoder, read_tokens

QUICK = ("--preset", "debug", "--set", "fit.steps=4", "--workers", "1", "--json")
STEPS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three labelled episodes with depth."""
    directory = tmp_path_factory.mktemp("data") / "blocks" / "1.0.0"
    return write_labelled(directory, [seen_episode(i, STEPS) for i in range(3)])


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "encoder"
    words = ("vision", "train-encoder", "--data", str(data), "--detector", "labels", "--out", str(out))
    assert main([*words, *QUICK]) == 0
    return out


def test_training_again_is_up_to_date_and_leaves_a_page(vla, data, run, tmp_path):
    words = ("vision", "train-encoder", "--data", data, "--detector", "labels", "--out", run)
    again = vla(*words, *QUICK)
    assert again.document["skipped"] is True
    summary = again.document["summary"]
    assert (summary["tokens_per_frame"], summary["token_width"]) == (8, 32)
    assert summary["classes"] == list(CLASSES)
    assert "mean picture" in vla(*words, *QUICK[:-1]).out
    write_page(tmp_path / "page.html", "Encoder", load_run_sections(run))
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_every_episode_of_a_data_set_becomes_tokens(vla, data, run, tmp_path):
    for name in ("tokens.npz", "tokens.safetensors"):
        ran = vla("vision", "encode", data, "--weights", run, "--out", tmp_path / name, "--json")
        assert ran.code == 0, ran.err
        said = ran.document
        assert (said["videos"], said["frames"], said["depth"]) == (3, 3 * STEPS, ["sensor"])
        assert said["tokens_per_second_of_video"] == pytest.approx(8 * 10.0)
        assert said["rate"] > 0
        assert {"track", "flow", "features", "encode", "frame"} <= set(said["stages"])
    found, other = read_tokens(tmp_path / "tokens.npz"), read_tokens(tmp_path / "tokens.safetensors")
    assert found.videos == other.videos
    assert [(v.episode, v.camera, v.start, v.stop) for v in found.videos] == [
        (i, "front", i * STEPS, (i + 1) * STEPS) for i in range(3)
    ]
    for array in ("tokens", "mask", "slots", "ids", "time", "video"):
        np.testing.assert_array_equal(getattr(found, array), getattr(other, array))
    assert found.tokens.shape == (3 * STEPS, 8, 32)
    assert found.mask[:, 4:].all()
    assert (found.slots[:, 4:] == -1).all()
    assert ((found.ids[:, :4] > 0) == found.mask[:, :4]).all()
    np.testing.assert_allclose(found.time[:3], [0, 0.1, 0.2])


def test_one_episode_is_what_it_is_among_all(vla, data, run, tmp_path):
    for name, options in (
        ("all.npz", ()),
        ("one.npz", ("--episode", "1", "--camera", "front", "--frames", "5")),
    ):
        ran = vla("vision", "encode", data, "--weights", run, "--out", tmp_path / name, *options)
        assert ran.code == 0, ran.err
        assert "tokens per second of video" in ran.out
    whole, one = read_tokens(tmp_path / "all.npz"), read_tokens(tmp_path / "one.npz")
    np.testing.assert_array_equal(one.tokens, whole.tokens[STEPS : STEPS + 5])


def test_a_video_becomes_tokens_without_what_it_lacks(vla, run, tmp_path):
    episode = seen_episode(7, 5)
    video = tmp_path / "walk.mp4"
    write_mp4(video, [episode.images["front"][i] for i in range(5)], 10)
    out = tmp_path / "walk.npz"
    ran = vla("vision", "encode", video, "--weights", run, "--out", out, "--json")
    assert ran.code == 2
    assert "only episodes carry labels" in ran.document["error"]["message"]
    assert not out.exists()
    ran = vla("vision", "encode", video, "--weights", run, "--detector", "none", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["depth"] == ["none"]
    assert not read_tokens(out).mask[:, :4].any()


def test_what_is_wrong_is_said(vla, data, run, tmp_path):
    out = tmp_path / "tokens.npz"
    ran = vla("vision", "encode", data, "--weights", run, "--out", tmp_path / "tokens.txt", "--json")
    assert ran.code == 2
    assert ".safetensors" in ran.document["error"]["expected"]
    ran = vla("vision", "encode", data, "--weights", tmp_path / "absent", "--out", out, "--json")
    assert ran.code == 3
    assert "train-encoder" in ran.document["error"]["next"]
    ran = vla("vision", "encode", data, "--weights", run, "--episode", "9", "--out", out, "--json")
    assert ran.code == 2
    ran = vla("vision", "encode", data, "--weights", run, "--detector", "blobs", "--out", out, "--json")
    assert ran.code == 2
    assert "knows none" in ran.document["error"]["message"]
    ran = vla("vision", "encode", data, "--weights", run, "--detector", "nowhere", "--out", out, "--json")
    assert ran.code == 3
    ran = vla("vision", "train-encoder", "--data", data, "--cameras", "frnt", "--out", tmp_path / "x", *QUICK)
    assert ran.code == 2
    assert "front" in ran.document["error"]["next"]
    assert not out.exists()


def test_damaged_files_of_tokens_are_refused(vla, data, run, tmp_path):
    for name in ("tokens.npz", "tokens.safetensors"):
        path = tmp_path / name
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_tokens(path)
        assert vla("vision", "encode", data, "--weights", run, "--episode", "0", "--out", path).code == 0
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_tokens(path)
    assert load_encoder(run)[1].trained_on
