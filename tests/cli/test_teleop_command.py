"""`vla data record --teleop keyboard`, by a person at a terminal of our own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("metaworld")

COMMAND = [
    sys.executable,
    "-c",
    "from vla_cli.main import main; raise SystemExit(main())",
    "data",
    "record",
    "--teleop",
]


def test_a_person_records_an_episode_by_keys(tmp_path: Path):
    ours, theirs = pty.openpty()
    words = [*COMMAND, "keyboard", "--tasks", "reach", "--episodes", "1", "--out", str(tmp_path), "--json"]
    running = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    said = ""
    assert running.stderr is not None
    while "Enter: begin" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    assert "d dx+" in said
    os.write(ours, b"\n")
    while "go;" not in said:
        said += running.stderr.readline()
    for _ in range(12):
        os.write(ours, b"r")
        time.sleep(0.05)
    os.write(ours, b"\n")
    out, _ = running.communicate(timeout=60)
    os.close(ours)
    told = json.loads(out)
    assert (running.returncode, told["kept"], told["discarded"]) == (0, 1, 0)
    assert told["steps"] > 10
    assert (tmp_path / "episodes" / "sim_metaworld" / "1.0.0" / "dataset_info.json").is_file()


@pytest.mark.parametrize(("how", "said"), [("keyboard", "a terminal"), ("gamepda", "did you mean 'gamepad'")])
def test_who_cannot_drive_is_told_why(tmp_path: Path, how: str, said: str):
    words = [*COMMAND, how, "--tasks", "reach", "--out", str(tmp_path)]
    ended = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert said in ended.stderr
