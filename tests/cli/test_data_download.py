"""`vla data download` and its alias, against a server on this machine."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.download_faults import LAST, SHARD, write_source
from tests.data.storage_server import Fault, Storage, serve

from vla_cli.commands.data_download import size

SOURCE = ("--source", "gs://bucket/robotics")


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("VLA_DATA", str(tmp_path / "data"))
    write_source(tmp_path / "source")
    with serve(tmp_path / "source") as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        yield storage


def test_a_copy(vla, tmp_path):
    ran = vla("data", "download", "made_up", *SOURCE, "--copy", "--json")
    assert ran.code == 0
    (outcome,) = ran.document
    assert (outcome["state"], outcome["mode"], outcome["episodes"]) == ("verified", "copy", 20)
    assert outcome["directory"] == str(tmp_path / "data" / "made_up" / "1.0.0")
    assert "look into it: vla data inspect made_up" in ran.err
    shown = vla("data", "download", "made_up", *SOURCE, "--copy")
    for words in ("made_up 1.0.0", "verified", "fetched", "0 B"):
        assert words in shown.out
    assert "\x1b" not in shown.out + shown.err


def test_a_dry_run_writes_nothing(vla, tmp_path):
    ran = vla("data", "download", "made_up", *SOURCE, "--copy", "--dry-run", "--json")
    assert (ran.code, ran.document[0]["state"]) == (0, "planned")
    assert ran.document[0]["to_fetch"] > 80_000
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "xdg").exists()


def test_one_that_fails_does_not_stop_the_others(vla, storage):
    del storage.objects[LAST]
    ran = vla("data", "download", "viola/9.9.9", "made_up", *SOURCE, "--json")
    assert ran.code == 3
    assert [o["state"] for o in ran.document] == ["failed", "failed"]
    assert "1 of them missing" in ran.document[1]["reason"]
    assert "made_up: failed: the source lacks shards" in ran.err
    assert "next: name another --source" in ran.err


def test_the_exit_code_tells_kinds_of_failure_apart(vla, storage):
    storage.faults[SHARD].append(Fault("status", 403, lasting=True))
    assert vla("data", "download", "made_up", *SOURCE, "--copy").code == 1
    assert vla("data", "download", "made_up", "--source", "sftp://host").code == 2
    assert vla("data", "download", "../up", *SOURCE).code == 2
    assert vla("data", "download", "made_up", *SOURCE, "--shards", "x").code == 2
    assert vla("data", "download", "made_up", *SOURCE, "--shards", "9").code == 3
    mixed = vla("data", "download", "made_up", "viola/9.9.9", *SOURCE, "--copy")
    assert mixed.code == 1  # 1 and 3


def test_a_host_that_cannot_be_reached_says_where_to_go_on(vla):
    ran = vla("data", "download", "made_up/1.0.0", "--source", "http://127.0.0.1:9/robotics")
    assert ran.code == 1
    assert "cannot reach 127.0.0.1:9" in ran.err
    assert "--source" in ran.err


def test_an_unknown_name_is_told_without_asking_anybody(vla, storage):
    ran = vla("data", "download", "voila", "--json")
    assert ran.code == 2
    assert "did you mean 'viola'" in ran.document[0]["error"]["next"]
    assert storage.log == []


def test_without_copy_it_is_streamed_and_opened_by_name(vla):
    ran = vla("data", "download", "made_up", *SOURCE)
    assert ran.code == 0
    assert "shards are fetched and verified when first read" in ran.err
    listed = vla("data", "list", "--local", "--json")
    assert "made_up" in listed.out


def test_ctrl_c_says_how_to_go_on(storage, tmp_path):
    storage.rate = 20_000
    code = "import sys; from vla_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "data", "download", "made_up", *SOURCE, "--copy"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while storage.sent < 30_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "run the same command again: it resumes" in said
    assert list((tmp_path / "data").rglob("*.part"))


def test_the_alias_means_the_same(root, monkeypatch):
    script = runpy.run_path(str(root / "scripts" / "download_openx.py"))
    arguments = script["arguments"]
    assert arguments(["--list"]) == ["data", "list"]
    assert arguments(["--datasets", "a", "b", "--local-dir", "D", "--copy"]) == [
        "data", "download", "a", "b", "--local-dir", "D", "--copy",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        arguments([])


def test_sizes():
    assert [size(n) for n in (0, 999, 1500, 2_500_000, 3_210_000_000_000)] == [
        "0 B", "999 B", "1.5 kB", "2.5 MB", "3,210.0 GB",
    ]  # fmt: skip
