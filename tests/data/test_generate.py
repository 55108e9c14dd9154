"""Generating demonstrations: what is kept, and that neither workers nor interruptions change it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import ConfigError, SimError, UnknownNameError
from vla_data.formats.rlds import RldsReader, shard_path
from vla_data.protocols import Progress
from vla_data.sim import CameraView, instructions
from vla_data.sim.generate import PRESETS, GenerateConfig, generate
from vla_data.sim.placements import split_of

SMALL = GenerateConfig(
    tasks=("reach", "drawer-close"),
    episodes=3,
    episodes_per_shard=2,
    cameras=(CameraView("eye", "corner4", 24, 32),),
)


def digest(directory: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path, list[Progress]]:
    out, heard = tmp_path_factory.mktemp("made"), []
    summary = generate(SMALL, out, workers=1, on_progress=heard.append)
    return summary, out, heard


def test_only_successes_of_training_placements_are_kept(made: tuple) -> None:
    summary, out, _ = made
    reader = RldsReader.open(out)
    assert summary["episodes"] == len(reader) == 6
    assert summary["tasks"] == {
        t: {"episodes": 3, "attempts": summary["tasks"][t]["attempts"]} for t in SMALL.tasks
    }
    episodes = [reader[i] for i in range(6)]
    assert summary["steps"] == sum(len(e) for e in episodes)
    assert [e.metadata["task"] for e in episodes] == ["reach"] * 3 + ["drawer-close"] * 3
    assert len({(e.metadata["task"], e.metadata["seed"]) for e in episodes}) == 6
    for e in episodes:
        assert split_of(int(e.metadata["seed"])) == "train"
        assert e.metadata["success"]
        assert e.series["success"].any()
        assert len(e) - int(np.argmax(e.series["success"])) == 1 + SMALL.steps_after_success
        assert e.images["eye"][0].shape == (24, 32, 3)
        said = instructions("metaworld", str(e.metadata["task"]))
        assert {e.instruction, *e.paraphrases} == set(said)


def test_progress_counts_episodes(made: tuple) -> None:
    _, _, heard = made
    assert [p.done for p in heard] == sorted(p.done for p in heard)
    assert (heard[0].done, heard[-1].done, heard[-1].total, heard[-1].unit) == (0, 6, 6, "episodes")


def test_the_number_of_workers_changes_no_byte(made: tuple, tmp_path: Path) -> None:
    summary, out, _ = made
    again = generate(SMALL, tmp_path, workers=2)
    assert digest(tmp_path / "metaworld" / "1.0.0") == digest(out / "metaworld" / "1.0.0")
    assert {k: v for k, v in again.items() if k not in ("seconds", "directory")} == {
        k: v for k, v in summary.items() if k not in ("seconds", "directory")
    }


PROGRAM = """
import sys
from pathlib import Path
from tests_config import SMALL
from vla_data.sim.generate import generate
if __name__ == "__main__":
    generate(SMALL, Path(sys.argv[1]), workers=1)
"""


def test_a_killed_run_is_taken_up_where_it_was(made: tuple, tmp_path: Path) -> None:
    _, whole, _ = made
    (tmp_path / "tests_config.py").write_text(
        "from vla_data.sim.config import Aim, CameraView\n"
        f"from vla_data.sim.generate import GenerateConfig\nSMALL = {SMALL!r}\n"
    )
    (tmp_path / "program.py").write_text(PROGRAM)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(out)], start_new_session=True
    )
    records = out / "metaworld" / ".1.0.0-shards"
    give_up = time.monotonic() + 240
    while not (records / "00001.json").is_file() and time.monotonic() < give_up:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    directory = out / "metaworld" / "1.0.0"
    finished = [shard_path(directory, "metaworld", "train", int(p.stem), 4) for p in records.glob("0*.json")]
    times = {path: path.stat().st_mtime_ns for path in finished}
    assert 2 <= len(finished) < 4
    assert not (directory / "dataset_info.json").exists()
    generate(SMALL, out, workers=1)
    assert digest(directory) == digest(whole / "metaworld" / "1.0.0")
    assert {path: path.stat().st_mtime_ns for path in finished} == times


def test_another_configuration_does_not_mix_in(made: tuple) -> None:
    _, out, _ = made
    before = digest(out / "metaworld" / "1.0.0")
    with pytest.raises(ConfigError, match="another configuration"):
        generate(replace(SMALL, noise=0.3), out, workers=1)
    assert digest(out / "metaworld" / "1.0.0") == before


def test_what_an_earlier_version_with_fewer_settings_began_is_taken_up(made: tuple) -> None:
    summary, out, _ = made
    (note,) = out.rglob("config.json")
    told = json.loads(note.read_text())
    before = digest(out / "metaworld" / "1.0.0")
    del told["max_attempts"], told["cameras"][0]["aim"]
    note.write_text(json.dumps(told))
    assert generate(SMALL, out, workers=1)["episodes"] == summary["episodes"]
    assert digest(out / "metaworld" / "1.0.0") == before


def test_seeds_share_no_placement(made: tuple) -> None:
    from vla_data.sim.generate import _units

    first = {u.first + i for u in _units(SMALL, Path()) for i in range(20)}
    second = {u.first + i for u in _units(replace(SMALL, seed=1), Path()) for i in range(20)}
    assert not first & second


def test_mistakes_are_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        generate(replace(SMALL, tasks=("drawer-clsoe",)), tmp_path)
    assert caught.value.exit_code == 2
    assert caught.value.matches[0] == "drawer-close"
    with pytest.raises(UnknownNameError):
        generate(replace(SMALL, sim="metawrld"), tmp_path)
    for bad in ({"episodes": 0}, {"seed": 1000}, {"tasks": ()}, {"max_attempts": 0}, {"episodes": 10**6}):
        with pytest.raises(ConfigError):
            generate(replace(SMALL, **bad), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_expert_that_fails_too_often_is_an_error_and_leaves_no_shard(tmp_path: Path) -> None:
    hopeless = GenerateConfig(tasks=("assembly",), episodes=1, noise=30.0, cameras=(), max_attempts=1)
    with pytest.raises(SimError, match="does not succeed often enough"):
        generate(replace(hopeless, episodes_per_shard=1), tmp_path, workers=1)
    assert not list((tmp_path / "metaworld" / "1.0.0").glob("*.tfrecord*"))


def test_presets_are_configurations() -> None:
    assert all(isinstance(make(), GenerateConfig) for make in PRESETS.values())
    assert "debug" in PRESETS
