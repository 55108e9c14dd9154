"""`vla ts` as a person would type it: fit, look, encode, decode, explore."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.types import ActionDim, ActionSpec, Episode, RobotSpec, StateDim

DIM = ActionDim("x", "position", "delta", "base", "m")
SPEC = ActionSpec((DIM, ActionDim("gripper", "gripper", "absolute", "none")), 10.0, gripper_closes=1)
ROBOT = RobotSpec("arm", SPEC, (StateDim("x", "m"),))


def episode(index: int, broken: bool = False) -> Episode:
    t = np.arange(30) / 10
    action = np.stack([np.sin(t * (1 + index / 5)), np.sign(np.cos(t + index))], axis=1).astype(np.float32)
    if broken:
        action[4, 0] = np.nan
    return Episode(str(index), ROBOT, action, np.zeros((30, 1), np.float32), t, instruction="swing")


def write(directory: Path, episodes: list[Episode]) -> Path:
    with RldsWriter(directory, "swings", ROBOT, {}, version="1.0.0", split="train", shard=(0, 1)) as writer:
        for one in episodes:
            writer.write(one)
    finish_dataset(directory, description="Made up.")
    return directory


@pytest.fixture(scope="module")
def swings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "swings" / "1.0.0", [episode(i) for i in range(10)])


@pytest.fixture
def codec(vla, swings: Path, tmp_path: Path) -> Path:
    out = tmp_path / "codec"
    ran = vla("ts", "fit", "--codec", "dct_bpe", "--data", swings, "--out", out, "--horizon", 5, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["held_out_episodes"] == 1
    return out


def test_fit_again_is_up_to_date_and_a_wrong_name_lists_all(vla, swings, codec):
    again = vla("ts", "fit", "--codec", "dct_bpe", "--data", swings, "--out", codec, "--horizon", 5, "--json")
    assert again.document["skipped"] is True
    ran = vla("ts", "fit", "--codec", "fast", "--data", swings, "--out", codec, "--json")
    assert ran.code == 2
    assert "dct_bpe" in ran.document["error"]["next"]


def test_inspect(vla, codec):
    document = vla("ts", "inspect", codec, "--json").document
    assert (document["kind"], document["action_horizon"], document["tokens_per_chunk"]) == (
        "dct_bpe",
        5,
        None,
    )
    shown = vla("ts", "inspect", codec).out
    assert "manifest" in shown
    assert "byte-pair" in shown
    next((codec / "codec").glob("bpe.json")).write_text("{}")
    assert vla("ts", "inspect", codec).code == 3


def test_a_file_there_and_back(vla, codec, tmp_path):
    series = episode(3).action
    np.save(tmp_path / "a.npy", series)
    assert vla("ts", "encode", codec, tmp_path / "a.npy", "--out", tmp_path / "c.jsonl").code == 0
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [(v["start"], v["steps"]) for v in lines] == [(i, 5) for i in range(0, 30, 5)]
    told = vla("ts", "decode", codec, tmp_path / "c.jsonl", "--join", "--out", tmp_path / "b.csv", "--json")
    assert told.document["pieces"] == 1
    back = np.loadtxt(tmp_path / "b.csv", delimiter=",", skiprows=1)
    assert np.abs(back - series).max() < 0.2
    assert vla("ts", "encode", codec, tmp_path / "b.csv").out.count("\n") == 6


def test_streams(vla, codec, monkeypatch):
    def feed(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    stream = io.BytesIO()
    np.save(stream, episode(2).action)
    feed(stream.getvalue())
    coded = vla("ts", "encode", codec, "-")
    assert coded.code == 0
    assert len(coded.out.splitlines()) == 6
    feed(coded.out.encode())
    document = vla("ts", "decode", codec, "-", "--join", "--json").document
    assert np.array(document["chunks"][0]["actions"]).shape == (30, 2)
    feed(b'{"codes": [99999]}\n')
    refused = vla("ts", "decode", codec, "-", "--json")
    assert refused.code == 3
    assert "out of range" in refused.document["error"]["message"]


def test_a_data_set_of_the_same_meaning_alone(vla, codec, swings, tmp_path):
    document = vla("ts", "encode", codec, swings, "--json").document
    assert len(document["chunks"]) == 60
    assert document["chunks"][6]["episode"] == "1"
    refused = vla("ts", "encode", codec, swings, "--hz", 5, "--json")
    assert refused.code == 3
    assert "control_hz" in refused.document["error"]["got"]


class Mixed:
    """A data set whose second episode holds a NaN."""

    name, robot = "mixed", ROBOT

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Episode:
        return episode(index, broken=index == 1)


def test_episodes_that_cannot_be_used_are_left_out_and_counted(vla, codec, monkeypatch):
    monkeypatch.setattr("vla_data.formats.open_episodes", lambda uri, split: Mixed())
    refused = vla("ts", "encode", codec, "mixed")
    assert refused.code == 3
    assert "--skip-corrupt" in refused.err
    ran = vla("ts", "encode", codec, "mixed", "--skip-corrupt")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 12
    assert "1 of 3 episodes were left out" in ran.err


def test_kinds_of_files_that_cannot_be_written_are_refused(vla, codec, tmp_path):
    np.save(tmp_path / "a.npy", episode(0).action)
    ran = vla("ts", "encode", codec, tmp_path / "a.npy", "--out", tmp_path / "c.csv", "--json")
    assert ran.code == 2
    assert not (tmp_path / "c.csv").exists()
    assert vla("ts", "encode", codec, tmp_path / "absent.npy").code != 0


def test_explore(vla, swings, tmp_path):
    out = ("--out", tmp_path / "x", "--preset", "debug", "--workers", 1)
    command = ("ts", "explore", "--data", swings, *out)
    small = '[{codec="uniform_bins", grid={bins=[4, 16]}}]'
    ran = vla(*command, "--set", f"sweeps={small}", "--set", "horizons=[4]")
    assert ran.code == 0, ran.err
    assert "bins 4" in ran.out
    assert (tmp_path / "x" / "explore.html").is_file()
    again = vla(*command, "--set", f"sweeps={small}", "--set", "horizons=[4]", "--json").document
    assert again["skipped"] is True
    assert again["summary"]["points"] == 2
    wrong = vla(*command, "--set", 'sweeps=[{codec="bins"}]', "--out", tmp_path / "y")
    assert wrong.code == 2


QUICK = ("--set", "fit.steps=5", "--set", "fit.batch_size=32", "--codebook-size", 8, "--levels", 2)


def test_a_learnt_codec_with_its_options(vla, swings, tmp_path):
    ran = vla(
        "ts", "fit-vqvae", "--data", swings, "--out", tmp_path / "q", "--preset", "debug", *QUICK,
        "--quantizer", "fsq", "--horizon", 5, "--hz", 20, "--series", "state", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["tokens_per_chunk"] == 2
    from vla_ts import load_codec

    codec = load_codec(tmp_path / "q")
    assert (codec.action_horizon, codec.vocab_size, codec.spec.control_hz) == (5, 8, 20.0)
    assert [d.name for d in codec.spec.dims] == ["x"]


def test_one_learnt_codec_for_two_data_sets(vla, swings, tmp_path):
    other = write(tmp_path / "other" / "1.0.0", [episode(i + 30) for i in range(4)])
    out = tmp_path / "both"
    ran = vla("ts", "fit-vqvae", "--data", swings, "--data", other, "--out", out, "--preset", "debug", *QUICK)
    assert ran.code == 0, ran.err
    assert "swings-2" in ran.out
    mixture = tmp_path / "mix.toml"
    mixture.write_text(f'[[dataset]]\nuri = "{swings}"\nweight = 3\n[[dataset]]\nuri = "{other}"\n')
    weighted = ("ts", "fit-vqvae", "--mixture", mixture, "--out", tmp_path / "mixed", "--preset", "debug")
    ran = vla(*weighted, *QUICK, "--json")
    assert ran.code == 0, ran.err
    assert list(ran.document["summary"]["embodiments"]) == ["swings", "swings-2"]
    series, codes = tmp_path / "a.npy", tmp_path / "codes.jsonl"
    np.save(series, episode(0).action)
    coding = ("ts", "encode", tmp_path / "mixed", series, "--out", codes, "--embodiment")
    assert vla(*coding, "swings-2").code == 0
    unknown = vla(*coding, "swing")
    assert unknown.code != 0
    assert "unknown embodiment" in unknown.err
    assert "swings" in unknown.err
    none = vla("ts", "fit-vqvae", "--out", tmp_path / "none")
    assert none.code != 0
    assert "--mixture" in none.err
