"""`vla doctor`: every finding with what mends it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from vla_cli import diagnosis


@pytest.fixture
def no_probes(monkeypatch):
    """A machine with GL, without a GPU, with 100 GiB of disk: the one under the test may be full."""

    def probe(command, seconds):
        return (None, "not found") if command[0] == "nvidia-smi" else (0, "egl")

    monkeypatch.setattr(diagnosis, "probe", probe)
    room = SimpleNamespace(free=100 * diagnosis.GIB)
    monkeypatch.setattr("vla_cli.diagnosis.shutil.disk_usage", lambda _: room)


def test_a_machine_that_is_ready(vla, no_probes):
    ran = vla("doctor", "--json")
    assert (ran.code, ran.document["ready"]) == (0, True)
    findings = ran.document["findings"]
    assert {f["section"] for f in findings} == {"Python", "Packages", "Graphics", "Machine", "Places"}
    assert {f["state"] for f in findings} <= {"ok", "optional"}


def test_what_is_missing_exits_4_and_names_the_command_that_mends_it(vla, no_probes, monkeypatch):
    monkeypatch.setattr(diagnosis, "probe", lambda command, seconds: (1, "no EGL device"))
    ran = vla("doctor")
    assert ran.code == 4
    assert "no EGL device" in ran.out
    assert "apt-get install" in ran.out
    assert "not ready" in ran.out
    assert vla("doctor", "--json").document["ready"] is False


def test_every_finding_that_is_missing_has_a_fix(no_probes, monkeypatch):
    real = diagnosis.installed
    gone = ("metaworld", "libero", "rich", "vla-ts")
    monkeypatch.setattr(diagnosis, "installed", lambda name: None if name in gone else real(name))
    found = {f.name: f for f in diagnosis.diagnose()}
    assert found["vla-data[sim]"].state == "missing"
    assert "metaworld" in found["vla-data[sim]"].value
    assert found["vla-data[libero]"].state == "optional"
    assert found["vla-cli"].state == "missing"
    assert found["vla-ts"].value == "not installed"
    assert all(f.fix for f in found.values() if f.state == "missing")


def test_requirements_are_read_per_extra():
    assert "numpy" in diagnosis.requirements("vla-data", "")
    assert "metaworld" in diagnosis.requirements("vla-data", "sim")
    assert "metaworld" not in diagnosis.requirements("vla-data", "")
    assert diagnosis.requirements("vla-data", "all") == []


def test_a_gpu_that_torch_cannot_use_is_said(monkeypatch):
    answers = {"nvidia-smi": (0, "NVIDIA H200, 143771 MiB"), sys.executable: (0, "")}
    monkeypatch.setattr(diagnosis, "probe", lambda command, seconds: answers[command[0]])
    (finding,) = diagnosis.gpu()
    assert finding.state == "optional"
    assert "torch cannot use" in finding.value
    assert finding.fix
    answers[sys.executable] = (0, "12.8")
    assert diagnosis.gpu()[0].state == "ok"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["a-command-that-is-not-there"], (None, "not found")),
        ([sys.executable, "-c", "import time; time.sleep(30)"], (None, "no answer within 0.2 s")),
        ([sys.executable, "-c", "import sys; sys.stderr.write('why\\nnot'); sys.exit(3)"], (3, "not")),
    ],
)
def test_probes_end_whatever_the_command_does(command, answer):
    assert diagnosis.probe(command, 0.2 if "sleep" in command[-1] else 30) == answer


def test_little_disk_or_memory_is_noticed(monkeypatch):
    monkeypatch.setattr(diagnosis, "available_memory", lambda: diagnosis.GIB)
    monkeypatch.setattr(
        "vla_cli.diagnosis.shutil.disk_usage", lambda _: type("U", (), {"free": diagnosis.GIB})
    )
    states = {f.name: f.state for f in diagnosis.machine()}
    assert states == {"cores": "ok", "memory": "optional", "disk": "missing"}


def test_places_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VLA_DATA", str(tmp_path))
    monkeypatch.setenv("VLA_LIBERO_ASSETS", str(tmp_path / "absent"))
    monkeypatch.chdir(tmp_path)
    found = {f.name: f for f in diagnosis.locations()}
    assert found["data"].value == str(tmp_path)
    assert found["runs"].state == "ok"
    assert found["LIBERO assets"].state == "optional"
    assert str(tmp_path / "absent") in found["LIBERO assets"].value
    monkeypatch.setenv("VLA_LIBERO_ASSETS", str(tmp_path))
    (tmp_path / "scenes").mkdir()
    assert diagnosis.libero_assets().state == "ok"
