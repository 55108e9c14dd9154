"""A flight recorder: what reached the robot, in order, and never in the robot's way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.robot_driver import FakeDriver

from vla_data.robots.tracing import TracingDriver, read_trace


class Stuck:
    """A file on a disk that has no time."""

    def __init__(self, file: Any) -> None:
        self.file, self.free = file, threading.Event()

    def write(self, line: str) -> None:
        self.free.wait(10)
        self.file.write(line)

    def close(self) -> None:
        self.file.close()


class Full(Stuck):
    """A file on a disk that is full."""

    def write(self, line: str) -> None:
        raise OSError(28, "No space left on device")


def test_what_reached_the_robot_is_written_in_order(tmp_path: Path):
    driver = FakeDriver()
    recorder = TracingDriver(driver, tmp_path / "deep" / "trace.jsonl")
    recorder.connect()
    for number in range(100):
        recorder.send(np.full(driver.spec.action.dim, number / 100, np.float32))
    recorder.hold()
    recorder.close()
    lines = read_trace(tmp_path / "deep" / "trace.jsonl")
    assert [line["did"] for line in lines] == ["connect", *["send"] * 100, "hold", "close"]
    sent = [line["action"][0] for line in lines if line["did"] == "send"]
    np.testing.assert_allclose(sent, np.arange(100) / 100, atol=1e-6)


def test_a_disk_that_has_no_time_does_not_keep_the_robot_waiting(tmp_path: Path):
    driver = FakeDriver()
    recorder = TracingDriver(driver, tmp_path / "trace.jsonl")
    stuck = recorder._file = Stuck(recorder._file)  # type: ignore[assignment]
    recorder.connect()
    for _ in range(20):
        recorder.send(np.zeros(driver.spec.action.dim, np.float32))
    recorder.hold()
    assert not stuck.free.is_set()  # nothing is on the disk yet, and the robot has done all of it
    assert read_trace(tmp_path / "trace.jsonl") == []
    stuck.free.set()
    recorder.close()
    assert len(read_trace(tmp_path / "trace.jsonl")) == 23


def test_a_full_disk_does_not_keep_a_robot_from_being_held(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    driver = FakeDriver()
    recorder = TracingDriver(driver, tmp_path / "trace.jsonl")
    recorder._file = Full(recorder._file)  # type: ignore[assignment]
    recorder.connect()
    recorder.hold()
    recorder.close()
    assert "cannot write" in caplog.text
