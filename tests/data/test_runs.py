"""Stages: done once, resumed after a failure, refused when they would mix two runs, audited by sha256."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vla_data.errors import CheckpointError, DataError, VlaError
from vla_data.files import write_bytes
from vla_data.report import Section, Text
from vla_data.runs import (
    MANIFEST,
    Manifest,
    Output,
    Stage,
    installed_versions,
    load_run_sections,
    machine,
    make_manifest,
    run_stage,
    verify,
)


@dataclass(frozen=True)
class Config:
    seed: int = 0


class Work:
    """Writes one file, counts its calls, and fails at those it is told to."""

    def __init__(self, directory: Path, content: bytes = b"result", fail_at: tuple[int, ...] = ()) -> None:
        self.directory, self.content, self.fail_at = directory, content, fail_at
        self.calls = 0
        self.found: list[bool] = []

    def __call__(self) -> tuple[dict[str, Any], list[Section]]:
        self.calls += 1
        half = self.directory / "half.bin"
        self.found.append(half.exists())
        write_bytes(half, b"half")
        if self.calls in self.fail_at:
            raise VlaError("it failed half way")
        write_bytes(self.directory / "sub" / "out.bin", self.content)
        return {"size": len(self.content)}, [Section(f"of {self.directory.name}", (Text("done"),))]


def stage(
    directory: Path, work: Work | None = None, *, seed: int = 0, inputs: tuple[Path, ...] = ()
) -> Stage:
    return Stage("make", directory, Config(seed), inputs, work or Work(directory))


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((directory / MANIFEST).read_text())
    change(data)
    (directory / MANIFEST).write_text(json.dumps(data))


def test_a_finished_stage_is_skipped(tmp_path: Path):
    work = Work(tmp_path / "a")
    first = run_stage(stage(tmp_path / "a", work))
    second = run_stage(stage(tmp_path / "a", work))
    assert (first.skipped, second.skipped, work.calls) == (False, True, 1)
    assert second.manifest == first.manifest
    assert first.manifest.summary == {"size": 6}
    assert set(first.manifest.outputs) == {"half.bin", "sub/out.bin", "sections.json"}
    assert first.manifest.config == {"seed": 0}
    assert first.manifest.versions["python"]


def test_another_config_is_refused_and_the_command_is_given(tmp_path: Path):
    work = Work(tmp_path / "a")
    run_stage(stage(tmp_path / "a", work))
    with pytest.raises(DataError, match="another configuration") as caught:
        run_stage(stage(tmp_path / "a", work, seed=1))
    assert f"rm -r {tmp_path / 'a'}" in str(caught.value.next_step)
    assert work.calls == 1


def test_another_input_is_refused(tmp_path: Path):
    for name, content in (("a", b"1"), ("b", b"2")):
        run_stage(stage(tmp_path / name, Work(tmp_path / name, content)))
    run_stage(stage(tmp_path / "c", inputs=(tmp_path / "a",)))
    assert run_stage(stage(tmp_path / "c", inputs=(tmp_path / "a",))).skipped
    with pytest.raises(DataError, match="other inputs"):
        run_stage(stage(tmp_path / "c", inputs=(tmp_path / "b",)))


def test_an_input_made_anew_with_another_content_is_noticed(tmp_path: Path):
    run_stage(stage(tmp_path / "a"))
    run_stage(stage(tmp_path / "c", inputs=(tmp_path / "a",)))
    (tmp_path / "a" / MANIFEST).unlink()
    run_stage(stage(tmp_path / "a", Work(tmp_path / "a", b"other")))
    with pytest.raises(DataError, match="other inputs"):
        run_stage(stage(tmp_path / "c", inputs=(tmp_path / "a",)))


def test_inputs_of_the_same_name_are_both_kept(tmp_path: Path):
    inputs = (tmp_path / "one" / "1.0.0", tmp_path / "two" / "1.0.0")
    for content, directory in zip((b"1", b"2"), inputs, strict=True):
        run_stage(stage(directory, Work(directory, content)))
    result = run_stage(stage(tmp_path / "c", inputs=inputs))
    assert sorted(result.manifest.inputs.values()) == sorted(Manifest.load(d).digest for d in inputs)


def test_an_input_that_was_never_finished_is_refused(tmp_path: Path):
    work = Work(tmp_path / "c")
    with pytest.raises(DataError, match="a file is missing"):
        run_stage(stage(tmp_path / "c", work, inputs=(tmp_path / "a",)))
    assert work.calls == 0


def test_a_failed_stage_has_no_manifest_and_resumes(tmp_path: Path):
    work = Work(tmp_path / "a", fail_at=(1,))
    with pytest.raises(VlaError, match="half way"):
        run_stage(stage(tmp_path / "a", work))
    assert not (tmp_path / "a" / MANIFEST).exists()
    result = run_stage(stage(tmp_path / "a", work))
    assert work.found == [False, True]
    assert not result.skipped
    assert run_stage(stage(tmp_path / "a", work)).skipped


def test_time_of_earlier_attempts_is_counted(tmp_path: Path):
    work = Work(tmp_path / "a", fail_at=(1,))
    with pytest.raises(VlaError):
        run_stage(stage(tmp_path / "a", work))
    attempt = tmp_path / "a" / ".attempt.json"
    attempt.write_text(json.dumps(json.loads(attempt.read_text()) | {"seconds": 1000.0}))
    assert run_stage(stage(tmp_path / "a", work)).manifest.seconds >= 1000


@pytest.mark.parametrize("change", ["config", "input"])
def test_an_unfinished_attempt_of_another_run_is_not_resumed(tmp_path: Path, change: str):
    run_stage(stage(tmp_path / "in"))
    work = Work(tmp_path / "a", fail_at=(1,))
    with pytest.raises(VlaError):
        run_stage(stage(tmp_path / "a", work))
    other = {"config": {"seed": 1}, "input": {"inputs": (tmp_path / "in",)}}[change]
    with pytest.raises(DataError, match="unfinished 'make'"):
        run_stage(stage(tmp_path / "a", work, **other))
    assert work.calls == 1


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda f: f.write_bytes(b"resulT"), "sha256"),
        (lambda f: f.write_bytes(b"resul"), "5 bytes"),
        (lambda f: f.unlink(), "no file"),
    ],
)
def test_a_changed_output_is_detected(tmp_path: Path, damage: Callable[[Path], object], got: str):
    run_stage(stage(tmp_path / "a"))
    damage(tmp_path / "a" / "sub" / "out.bin")
    for check in (lambda: verify(tmp_path / "a"), lambda: run_stage(stage(tmp_path / "a"))):
        with pytest.raises(CheckpointError, match="does not match its manifest") as caught:
            check()
        assert got in str(caught.value.got)
        assert caught.value.where == str(tmp_path / "a" / "sub" / "out.bin")


@pytest.mark.parametrize("name", ["../secret", "sub/../../secret", "/etc/hostname"])
def test_a_manifest_that_points_outside_is_refused(tmp_path: Path, name: str):
    run_stage(stage(tmp_path / "a"))
    (tmp_path / "secret").write_bytes(b"x")
    edit_manifest(tmp_path / "a", lambda m: m["outputs"].update({name: {"bytes": 1, "sha256": "0"}}))
    with pytest.raises(CheckpointError, match="outside its directory"):
        verify(tmp_path / "a")


def test_a_link_that_points_outside_is_refused(tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "secret")
    make_manifest(tmp_path / "a", "make", Config()).save(tmp_path / "a")
    with pytest.raises(CheckpointError, match="outside its directory"):
        verify(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "null", "[]", '{"stage": 3, "config": {}}', '{"stage": "x"}'])
def test_a_manifest_that_is_none_is_a_data_error(tmp_path: Path, text: str):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError) as caught:
        Manifest.load(tmp_path)
    assert str(tmp_path / MANIFEST) in str(caught.value)


def test_digest_is_of_the_content_not_of_when_and_where(tmp_path: Path):
    manifest = run_stage(stage(tmp_path / "a")).manifest
    same = replace(manifest, seconds=99.0, machine="elsewhere", versions={}, summary={})
    assert same.digest == manifest.digest
    assert run_stage(stage(tmp_path / "b")).manifest.outputs["sub/out.bin"] == Output(
        6, manifest.outputs["sub/out.bin"].sha256
    )


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "other"},
        {"config": {"seed": 1}},
        {"inputs": {"a": "0"}},
        {"outputs": {"half.bin": Output(4, "0")}},
    ],
)
def test_digest_changes_with_the_content(tmp_path: Path, change: dict[str, Any]):
    manifest = run_stage(stage(tmp_path / "a")).manifest
    assert replace(manifest, **change).digest != manifest.digest


def test_hidden_files_are_no_outputs(tmp_path: Path):
    for path in (".attempt.json", ".cache/x", "sub/.part", "sub/kept"):
        write_bytes(tmp_path / path, b"x")
    assert set(make_manifest(tmp_path, "make", Config()).outputs) == {"sub/kept"}


def test_manifest_survives_its_file(tmp_path: Path):
    manifest = run_stage(stage(tmp_path / "a")).manifest
    assert Manifest.load(tmp_path / "a") == manifest


def test_sections_come_in_the_order_the_stages_ended(tmp_path: Path):
    for age, name in ((30, "z"), (20, "a"), (10, "m")):
        run_stage(stage(tmp_path / name))
        then = (tmp_path / name / MANIFEST).stat().st_mtime - age
        os.utime(tmp_path / name / MANIFEST, (then, then))
    run_stage(stage(tmp_path / ".hidden"))
    assert [s.title for s in load_run_sections(tmp_path)] == ["of z", "of a", "of m"]


def test_a_moved_run_is_still_up_to_date(tmp_path: Path):
    run_stage(stage(tmp_path / "one" / "a"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert run_stage(stage(tmp_path / "two" / "a")).skipped


def test_machine_names_no_host():
    assert os.uname().nodename not in machine()
    assert "cores" in machine()


def test_versions_of_absent_packages_are_left_out():
    versions = installed_versions()
    assert "numpy" in versions
    assert all(versions.values())


def test_a_directory_with_somebodys_files_is_left_alone(tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    work = Work(tmp_path)
    with pytest.raises(DataError, match="files of something else") as error:
        run_stage(stage(tmp_path, work))
    assert "photo.jpg" in str(error.value)
    assert work.calls == 0
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]
