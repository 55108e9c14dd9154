"""`vla data list`: the catalogue with its filters, and what is on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.openx_synthetic import write_synthetic

NAME = "austin_buds_dataset_converted_externally_to_rlds"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "data"


def test_filters_choose_and_json_says_everything(vla):
    ran = vla(*["data", "list", "--robot", "franka", "--camera", "wrist", "--max-size", "5GB", "--json"])
    assert ran.code == 0
    found = {e["name"]: e for e in ran.document}
    assert set(found) == {NAME, "plex_robosuite"}
    entry = found[NAME]
    assert (entry["version"], entry["episodes"], entry["control_hz"]) == ("0.1.0", 50, 20.0)
    assert entry["cameras"] == {"primary": "observation/image", "wrist": "observation/wrist_image"}
    assert (entry["status"], entry["image_encoding"], entry["derived"]) == ("synthetic", "png", False)
    assert "gripper is stored with 1 closed" in entry["quirks"]
    assert entry["source"]


def test_a_table_has_a_line_for_each_and_remarks_go_to_the_other_stream(vla):
    ran = vla("data", "list")
    lines = [line for line in ran.out.splitlines() if line.strip()]
    assert lines[0].split() == ["data", "set", "GiB", "episodes", "robot", "Hz", "cams", "action", "checked"]
    assert len(lines) == 2 + 86
    bridge = next(line.split() for line in lines if line.startswith("bridge_dataset "))
    assert bridge == ["bridge_dataset", "–", "–", "WidowX", "5", "4", "w", "EEF_POS", "real"]
    assert "86 data sets" in ran.err


def test_depth_and_status_filter(vla):
    deep = vla("data", "list", "--has", "depth,wrist", "--json").document
    assert {"maniskill_dataset_converted_externally_to_rlds", "taco_play"} <= {e["name"] for e in deep}
    assert all(e["depth"] for e in deep)
    real = vla("data", "list", "--status", "real", "--json").document
    assert [e["name"] for e in real] == ["bridge_dataset"]


def test_wide_tells_quirks(vla):
    ran = vla("data", "list", "--wide", "--robot", "sawyer")
    assert "both cameras show the same" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--robot", "frankka"), "did you mean 'Franka'"),
        (("--has", "dept"), "did you mean 'depth'"),
        (("--max-size", "huge"), "500MB, 5GB, 2TiB"),
        (("--status", "reel"), "did you mean 'real'"),
    ],
)
def test_a_wrong_filter_is_told(vla, arguments: tuple[str, str], said: str):
    ran = vla("data", "list", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_local_shows_what_is_here(vla, home: Path):
    assert vla("data", "list", "--local", "--json").document == []
    write_synthetic(home, NAME)
    write_synthetic(home, "berkeley_gnm_cory_hall")
    found = vla("data", "list", "--local", "--json").document
    assert {(d["name"], d["version"], d["state"]) for d in found} == {
        (NAME, "0.1.0", "present"), ("berkeley_gnm_cory_hall", "0.1.0", "present")
    }  # fmt: skip
    chosen = vla("data", "list", "--local", "--robot", "franka")
    assert NAME in chosen.out
    assert "cory_hall" not in chosen.out


def test_nothing_local_is_said(vla, home: Path):
    ran = vla("data", "list", "--local")
    assert (ran.code, ran.out.strip()) == (0, "")
    assert "Nothing is here" in ran.err


def test_a_data_set_opens_by_its_short_name(vla, home: Path):
    write_synthetic(home, NAME)
    ran = vla("data", "inspect", "austin_buds_dataset", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["name"] == NAME
