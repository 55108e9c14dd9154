"""One command, one stage: done, skipped, interrupted, refused; and the page of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vla_cli import stages
from vla_cli.errors import InterruptedRunError
from vla_data.errors import ConfigError, DataError
from vla_data.files import read_json
from vla_data.protocols import Progress
from vla_data.report import Section, Text


def work(on_progress):
    on_progress(Progress("count", 2, 2))
    return {"counted": 2, "rate": 0.5}, [Section("Counting", (Text("One, two."),))]


def test_a_stage_is_done_once_and_then_up_to_date(tmp_path, capsys):
    stages.run("count", tmp_path / "run", {"to": 2}, [], work, True)
    first = json.loads(capsys.readouterr().out)
    stages.run("count", tmp_path / "run", {"to": 2}, [], work, True)
    second = json.loads(capsys.readouterr().out)
    assert first["summary"] == second["summary"] == {"counted": 2, "rate": 0.5}
    assert (first["skipped"], second["skipped"]) == (False, True)
    assert first["directory"] == str(tmp_path / "run")


def test_people_see_names_and_values_and_the_next_command(tmp_path, capsys):
    stages.run("count", tmp_path / "run", {}, [], work, False)
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].split() == ["rate", "0.5"]
    assert f"its page: vla report {tmp_path / 'run'}" in captured.err
    assert "count: 2/2 steps (100%)" in captured.err


def test_another_configuration_in_the_same_directory_is_refused(tmp_path):
    stages.run("count", tmp_path, {"to": 2}, [], work, True)
    with pytest.raises(DataError, match="another configuration"):
        stages.run("count", tmp_path, {"to": 3}, [], work, True)


def test_an_attempt_that_left_nothing_does_not_claim_the_directory(tmp_path):
    def mistyped(on_progress):
        raise ConfigError("unknown task")

    def half_done(on_progress):
        (tmp_path / "run" / "shard").touch()
        raise RuntimeError

    with pytest.raises(ConfigError):
        stages.run("count", tmp_path / "run", {"to": "twoo"}, [], mistyped, False)
    with pytest.raises(RuntimeError):
        stages.run("count", tmp_path / "run", {"to": 2}, [], half_done, False)
    with pytest.raises(DataError, match="unfinished"):
        stages.run("count", tmp_path / "run", {"to": 3}, [], work, False)
    stages.run("count", tmp_path / "run", {"to": 2}, [], work, False)


def test_an_interrupted_stage_says_how_to_go_on(tmp_path):
    def interrupted(on_progress):
        raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError) as caught:
        stages.run("count", tmp_path, {}, [], interrupted, False)
    assert caught.value.exit_code == 130
    assert "run the same command again" in str(caught.value)
    stages.run("count", tmp_path, {}, [], work, False)


def test_inputs_are_the_stages_the_paths_lie_in(tmp_path):
    stages.run("count", tmp_path / "data", {}, [], work, True)
    inner = tmp_path / "data" / "set" / "1.0.0"
    inner.mkdir(parents=True)
    assert stages.input_stages(inner) == [tmp_path / "data"]
    assert stages.input_stages(tmp_path / "data") == [tmp_path / "data"]
    assert stages.input_stages(tmp_path / "absent") == []


def test_a_foreign_data_set_is_known_by_its_path_and_ours_by_its_digest(tmp_path):
    stages.run("count", tmp_path / "ours", {}, [], work, True)
    (tmp_path / "foreign").mkdir()
    assert stages.with_source({}, str(tmp_path / "ours"), "train")["data"] == ""
    assert stages.with_source({}, str(tmp_path / "foreign"), "train")["data"] == str(tmp_path / "foreign")


def test_report_writes_one_page_of_all_stages_under_a_run(tmp_path, vla):
    stages.run("count", tmp_path / "a", {}, [], work, True)
    stages.run("count", tmp_path / "b", {}, [], work, True)
    ran = vla("report", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'report.html'}\n")
    assert page.count("One, two.") == 2
    asked = vla("report", tmp_path, "--out", tmp_path / "page.html", "--json").document
    assert asked["page"] == str(tmp_path / "page.html")
    assert asked["sections"] == ["Counting", "Counting"]
    assert asked["bytes"] == (tmp_path / "page.html").stat().st_size


def test_a_directory_with_nothing_finished_has_no_page(tmp_path, vla):
    ran = vla("report", tmp_path)
    assert ran.code == 3
    assert "vla quickstart" in ran.err
    assert vla("report", tmp_path / "absent", "--json").document["error"]["type"] == "DataError"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_tampered_with_is_not_taken_as_done(tmp_path, vla):
    def writes(on_progress):
        (tmp_path / "weights.bin").write_bytes(b"1234")
        return {}, []

    stages.run("count", tmp_path, {}, [], writes, True)
    (tmp_path / "weights.bin").write_bytes(b"1235")
    with pytest.raises(DataError, match="does not match its manifest"):
        stages.run("count", tmp_path, {}, [], writes, True)


INTERRUPTED = """
import os, sys, time
from pathlib import Path
from vla_cli import errors, stages
from vla_cli.main import main
from vla_data.files import write_json
from vla_data.pool import map_units

def long_unit(unit):
    write_json(Path(unit), os.getpid())
    time.sleep(600)

def work(on_progress):
    units = [f"{sys.argv[1]}.{i}" for i in (1, 2)]
    return {"units": len(list(map_units(long_unit, units, 2)))}, []

if __name__ == "__main__":
    errors._call = lambda args: stages.run("sleep", Path(sys.argv[1]), {}, [], work, "--json" in args)
    sys.exit(main(["report", "x", *sys.argv[2:]]))
"""


@pytest.fixture
def two_workers(tmp_path) -> tuple[subprocess.Popen[str], list[int]]:
    """A command in the middle of two long units of work, and the process ids of its workers."""
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, str(script), str(tmp_path / "run"), "--json"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while child.poll() is None and len(list(tmp_path.glob("run.*"))) < 2:
        time.sleep(0.05)
    return child, [read_json(path) for path in tmp_path.glob("run.*")]


def gone(pid: int) -> bool:
    """Whether a process has ended; an orphan that nobody reaps stays as a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # no /proc here, or it went away in between
        return False


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.05)


def test_ctrl_c_ends_the_workers_too_and_is_one_document(two_workers):
    child, workers = two_workers
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert json.loads(out)["error"]["exit_code"] == 130
    assert "Traceback" not in err
    wait_until_gone(workers)


def test_workers_do_not_outlive_a_killed_command(two_workers):
    child, workers = two_workers
    child.kill()
    child.communicate(timeout=120)
    assert len(workers) == 2
    wait_until_gone(workers)
