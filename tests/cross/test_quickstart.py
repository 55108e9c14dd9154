"""The whole path on a CPU, through the command: once undisturbed, once killed in every stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vla_data.runs import MANIFEST, Manifest

STAGES = ("data", "explore", "perceive", "codec", "policy", "evaluate")  # directories, in order
VLA = Path(sys.executable).with_name("vla")


def start(out: Path) -> subprocess.Popen[str]:
    """The smoke run in a process group of its own, so that its workers can be killed with it."""
    command = [
        str(VLA),
        "quickstart",
        "--smoke",
        "--json",
        "--workers",
        "2",
        "--device",
        "cpu",
        "--out",
        str(out),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(out: Path) -> dict[str, Any]:
    stdout, stderr = start(out).communicate()
    assert stdout, stderr
    document = json.loads(stdout)
    assert "error" not in document, document
    return document


def kill_in(out: Path, stage: str) -> None:
    """Start the run and kill it, workers and all, while it is in `stage`."""
    child = start(out)
    attempt = out / stage / ".attempt.json"
    while not attempt.exists():
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def digests(out: Path) -> dict[str, str]:
    """Digest of every stage that is finished."""
    return {s: Manifest.load(out / s).digest for s in STAGES if (out / s / MANIFEST).exists()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("quickstart") / "run"
    return out, finish(out)


def test_it_runs_from_nothing_to_a_page(undisturbed: tuple[Path, dict[str, Any]]):
    out, summary = undisturbed
    assert set(digests(out)) == set(STAGES)
    assert [s["skipped"] for s in summary["stages"]] == [False] * len(STAGES)
    assert any("expert" in arm for arm in summary["success"])
    assert any("random" in arm for arm in summary["success"])
    page = (out / "report.html").read_text()
    for title in [*summary["tasks"], *summary["success"]]:
        assert title in page


def test_again_it_has_nothing_to_do(undisturbed: tuple[Path, dict[str, Any]]):
    out, first = undisturbed
    before = digests(out)
    second = finish(out)
    assert all(s["skipped"] for s in second["stages"])
    assert second["success"] == first["success"]
    assert digests(out) == before


@pytest.mark.slow
def test_killed_in_every_stage_it_comes_to_the_same(undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path):
    reference, summary = undisturbed
    out = tmp_path / "run"
    for i, stage in enumerate(STAGES):
        times = {
            s: (out / s / MANIFEST).stat().st_mtime_ns for s in STAGES[:i] if (out / s / MANIFEST).exists()
        }
        kill_in(out, stage)
        assert not (out / "report.html").exists()
        assert {s: (out / s / MANIFEST).stat().st_mtime_ns for s in times} == times, (
            "a finished stage ran again"
        )
    last = finish(out)
    assert last["success"] == summary["success"]
    assert digests(out) == digests(reference)
