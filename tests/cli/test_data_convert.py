"""`vla data convert` as a person would type it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.data.episodes import make_episode, write_dataset


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "made_up", [make_episode(i, 3) for i in range(3)])


def test_it_writes_lerobot_and_says_what_it_did(vla, source, tmp_path):
    ran = vla("data", "convert", source, tmp_path / "out")
    assert ran.code == 0
    lines = dict(line.split("  ", 1) for line in ran.out.splitlines())
    assert lines["episodes"].strip() == "train 3 (9 steps)"
    assert "24 arrays equal, 18 of 18 frames equal byte for byte" in lines["compared"]
    assert "3/3 episodes (100%)" in ran.err
    assert json.loads((tmp_path / "out/meta/info.json").read_bytes())["total_episodes"] == 3
    assert max(map(len, ran.out.replace(str(tmp_path), "").splitlines())) < 80


def test_json_and_options(vla, source, tmp_path):
    options = ["--images", "jpeg", "--split", "train", "--episodes", 2, "--no-verify", "--name", "other"]
    ran = vla("data", "convert", source, tmp_path / "out", *options, "--json")
    assert ran.code == 0
    assert (ran.document["name"], ran.document["splits"]) == ("other", {"train": 2})
    assert ran.document["comparison"] is None
    assert vla("data", "inspect", tmp_path / "out", "--json").document["format"] == "lerobot"


def test_what_is_left_out_is_listed(vla, source, tmp_path):
    assert vla("data", "convert", source, tmp_path / "out").code == 0
    os.unlink(tmp_path / "out/meta/vla.json")
    table = tmp_path / "out/data/chunk-000/file-000.parquet"
    rows = pq.read_table(table)
    values = rows["task_index"].to_pylist()
    values[3:6] = [9, 9, 9]
    pq.write_table(
        rows.set_column(rows.column_names.index("task_index"), "task_index", pa.array(values)), table
    )
    ran = vla("data", "convert", tmp_path / "out", tmp_path / "again")
    assert ran.code == 3
    assert "task" in ran.err
    ran = vla("data", "convert", tmp_path / "out", tmp_path / "again", "--skip-corrupt")
    assert ran.code == 0
    assert "train 1 an episode's task is not in the table of tasks" in " ".join(ran.out.split())


def test_wrong_options_are_usage_errors(vla, source, tmp_path):
    for arguments in (["--images", "video", "--to", "rlds"], ["--split", "vall"], ["--to", "zarr"]):
        assert vla("data", "convert", source, tmp_path / "out", *arguments).code == 2
    assert vla("data", "convert", source, source).code == 2
