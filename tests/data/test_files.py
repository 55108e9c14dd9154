"""Files appear whole or not at all, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import DataError
from vla_data.files import (
    atomic_directory,
    atomic_path,
    read_json,
    remove_parts,
    sha256_file,
    write_bytes,
    write_json,
)

OLD = b"old content"


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_after(write: Callable[[], object], error: BaseException) -> None:
    write()
    raise error


def kill_when_ready(program: str, *arguments: str) -> None:
    """Run `program`, which prints a line when it is where it should die, and kill it there."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait(30) == -signal.SIGKILL


def test_content_arrives_and_nothing_else(tmp_path: Path):
    write_bytes(tmp_path / "deep" / "a.bin", b"one")
    write_bytes(tmp_path / "deep" / "a.bin", b"two")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"two"
    assert names(tmp_path / "deep") == ["a.bin"]


def test_nothing_shows_under_the_final_name_while_writing(tmp_path: Path):
    with atomic_path(tmp_path / "a.bin") as part:
        part.write_bytes(b"half")
        assert not (tmp_path / "a.bin").exists()
        assert part.parent == tmp_path


@pytest.mark.parametrize("error", [RuntimeError("inside"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_inside_keeps_the_old_file(tmp_path: Path, error: BaseException):
    target = tmp_path / "a.bin"
    target.write_bytes(OLD)
    with pytest.raises(type(error)), atomic_path(target) as part:
        fail_after(lambda: part.write_bytes(b"half"), error)
    assert target.read_bytes() == OLD
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str):
    target = tmp_path / "a.bin"
    target.write_bytes(OLD)
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(target, b"new")
    assert target.read_bytes() == OLD
    assert names(tmp_path) == ["a.bin"]


def test_a_write_cut_short_by_the_system_keeps_the_old_file(tmp_path: Path):
    target = tmp_path / "a.bin"
    target.write_bytes(OLD)
    program = (
        "import resource, sys, pathlib\n"
        "from vla_data.files import write_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_bytes(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(target)], capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert done.returncode == 1
    assert target.read_bytes() == OLD
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize(
    "die_in",
    [
        "with files.atomic_path(target) as part: part.write_bytes(b'new'); die()",
        "os.fsync = die; files.write_bytes(target, b'new')",
        "os.replace = die; files.write_bytes(target, b'new')",
    ],
)
def test_a_kill_before_the_rename_keeps_the_old_file(tmp_path: Path, die_in: str, old: bytes | None):
    target = tmp_path / "a.bin"
    if old is not None:
        target.write_bytes(old)
    program = (
        "import os, pathlib, sys, time\n"
        "from vla_data import files\n"
        "def die(*_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        f"target = pathlib.Path(sys.argv[1])\n{die_in}\n"
    )
    kill_when_ready(program, str(target))
    assert (target.read_bytes() if target.exists() else None) == old
    assert remove_parts(tmp_path) == 1
    assert names(tmp_path) == ([] if old is None else ["a.bin"])


def test_a_directory_arrives_whole_and_replaces_the_old(tmp_path: Path):
    target = tmp_path / "d"
    with atomic_directory(target) as part:
        (part / "one").touch()
        assert not target.exists()
    with atomic_directory(target) as part:
        (part / "two").touch()
        assert names(target) == ["one"]
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["two"]


def failing_replace(fail_at: int) -> Callable[[Path, Path], None]:
    """An `os.replace` whose call number `fail_at` fails."""
    real, calls = os.replace, iter(range(10))

    def replace(source: Path, target: Path) -> None:
        if next(calls) == fail_at:
            no_space()
        real(source, target)

    return replace


@pytest.mark.parametrize("fail_at", [0, 1])
def test_a_directory_that_cannot_be_renamed_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    monkeypatch.setattr(os, "replace", failing_replace(fail_at))
    with pytest.raises(OSError, match="No space left"), atomic_directory(tmp_path / "d") as part:
        (part / "new").touch()
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]


def test_an_exception_inside_keeps_the_old_directory(tmp_path: Path):
    (tmp_path / "d").mkdir()
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "d") as part:
        fail_after((part / "new").touch, RuntimeError())
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == []


def test_remove_parts_takes_only_parts(tmp_path: Path):
    for kept in ("a.bin", "b.part", ".hidden"):
        (tmp_path / kept).touch()
    (tmp_path / ".a.bin.00000000.part").touch()
    (tmp_path / ".d.00000000.part").mkdir()
    (tmp_path / ".d.00000000.part" / "inside").touch()
    assert remove_parts(tmp_path) == 2
    assert names(tmp_path) == [".hidden", "a.bin", "b.part"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_json_comes_back(tmp_path: Path):
    @given(JSON)
    def check(value: object):
        write_json(tmp_path / "v.json", value)
        assert read_json(tmp_path / "v.json") == value

    check()


@pytest.mark.parametrize("value", [float("nan"), {"loss": float("inf")}, {1, 2}])
def test_what_is_not_json_is_not_written(tmp_path: Path, value: object):
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "v.json", value)
    assert names(tmp_path) == []


def test_broken_and_absent_json_are_named(tmp_path: Path):
    (tmp_path / "v.json").write_bytes(b'{"a": ')
    for name in ("v.json", "none.json"):
        with pytest.raises(DataError) as caught:
            read_json(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_json_that_is_not_utf8_is_named(tmp_path: Path):
    (tmp_path / "v.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match="not JSON"):
        read_json(tmp_path / "v.json")


def test_sha256_is_hashlibs(tmp_path: Path):
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()
