"""`vla serve ros2`: a simulated robot is told a task over ROS 2, moves while somebody is there, and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.ros2_nodes import Client, own_domain, waiting, with_ros

pytest.importorskip("metaworld")

PROGRAM = "from vla_cli.main import main; raise SystemExit(main())"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with own_domain(tmp_path / "ros"):
        client = Client()
        yield client
        client.ros.close()


@with_ros
def test_a_task_is_done_over_ros(client: Client):
    words = [sys.executable, "-c", PROGRAM, "serve", "ros2", "--demo", "--tasks", "reach"]
    serving = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    over = threading.Event()

    def beating() -> None:
        while not over.wait(0.05):
            client.beat()

    beats = threading.Thread(target=beating, daemon=True)
    try:
        waiting(lambda: "/vla/joint_states" in client.heard, 60.0)
        assert "hand_x" in client.heard["/vla/joint_states"].name
        beats.start()
        waiting(lambda: client.told("commander") == "there")
        client.choose("reach")
        waiting(lambda: client.told("task") == "reach")
        done, said = client.call("run")
        assert done, said
        waiting(lambda: client.told("said") == "succeeded", 20.0)
        assert client.told("motion what")
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
    finally:
        over.set()
        serving.kill()
        told = serving.communicate()[1]
    assert "/vla/heartbeat" in told or "~/heartbeat" in told
    assert "Traceback" not in told


def test_what_is_missing_is_named(vla, tmp_path: Path):
    ran = vla("serve", "ros2")
    assert (ran.code, "vla serve ros2 --demo" in ran.err) == (2, True)
    (tmp_path / "node.toml").write_text("heartbeat = 3.0")
    ran = vla("serve", "ros2", "--demo", "--mapping", tmp_path / "node.toml")
    assert (ran.code, "at most 0.3" in ran.err) == (2, True)
