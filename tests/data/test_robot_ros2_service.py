"""A robot of ours as a node of ROS 2: what is told, what may be asked, and how long it moves for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.robot_driver import ARM, floats
from tests.data.ros2_nodes import Client, mapping, own_domain, robot_node, waiting, with_ros

pytest.importorskip("mujoco")

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import RefusedError
from vla_data.robots.mapping import read_mapping
from vla_data.robots.robot_link import RobotProcess
from vla_data.robots.ros2_service import Ros2Service, Ros2ServiceConfig, Ros2Topics
from vla_data.robots.ros2_tasks import RosTasks
from vla_data.robots.station import StationConfig
from vla_data.types import Camera, Observation


@pytest.fixture(scope="module", autouse=True)
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with own_domain(tmp_path_factory.mktemp("ros")):
        yield


class FakeLink:
    """A robot's process that remembers what it was asked; `hold` is given back when nobody is there."""

    spec, cameras = ARM, (Camera("front", 4, 3),)

    def __init__(self) -> None:
        self.skills: Mapping[str, list[str]] = {"wave": ["wave your hand", "say hello"]}
        self.asked: list[str] = []
        self.phase, self.state, self.lost = "idle", "moving", ""
        self.held = threading.Event()
        self.gone = False

    def ask(self, do: str, **told: Any) -> dict[str, Any]:
        if self.gone:
            raise RobotError("a robot's process is gone")
        self.asked.append(do)
        kernel = {"phase": self.phase, "owner": None, "stopped_for": "enough"}
        motion = {"number": 1, "what": "wave", "state": self.state, "said": "", "steps": 3}
        return {
            "number": 1,
            "kernel": kernel,
            "motion": motion,
            "time": time.monotonic(),
            "state": floats(0.1, 0.2, 0.3),
        }

    def observe(self) -> Observation:
        return Observation(
            time.monotonic(), {"front": np.full((3, 4, 3), 9, np.uint8)}, floats(0.1, 0.2, 0.3)
        )

    @contextmanager
    def hold(self, owner: str, present: Callable[[], bool], *, seize: bool = False) -> Iterator[FakeLink]:
        self.key = "key"
        self.held.set()
        yield self
        self.held.clear()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.ros.close()


@contextmanager
def serving(link: Any) -> Iterator[Ros2Service]:
    over = threading.Event()
    with Ros2Service(link) as service:
        thread = threading.Thread(target=service.run, args=(over,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            over.set()
            thread.join()


@with_ros
def test_a_task_runs_while_its_commander_is_there(client: Client):
    link = FakeLink()
    with serving(link) as service:
        waiting(lambda: client.beats.get_subscription_count() and client.tasks.get_subscription_count())
        client.choose("wavee")
        waiting(lambda: service.tasks.told()["task"] == "wavee")
        assert "did you mean 'wave'" in client.call("run")[1]
        client.choose("say hello")
        waiting(lambda: service.tasks.told()["task"] == "say hello")
        done, said = client.call("run")
        assert not done
        assert "heartbeat" in said
        assert "task" not in link.asked
        client.beat()
        waiting(service.tasks.present)
        done, said = client.call("run")
        assert done, said
        assert link.held.wait(1.0)
        assert "busy" not in said
        waiting(lambda: not link.held.is_set(), 1.0)  # it lets go when nobody is there any more
        waiting(lambda: "nobody" in service.tasks.told()["said"])


@with_ros
def test_where_it_is_and_what_it_sees_is_told(client: Client):
    client.heard.clear()
    link = FakeLink()
    with serving(link):
        waiting(lambda: {"/vla/joint_states", "/vla/images/front", "/diagnostics"} <= set(client.heard))
        joints, image = client.heard["/vla/joint_states"], client.heard["/vla/images/front"]
        assert list(joints.name) == ["shoulder", "elbow", "opening"]
        assert list(joints.position) == pytest.approx([0.1, 0.2, 0.3], abs=1e-6)
        assert abs(joints.header.stamp.sec - time.time()) < 5
        assert (image.height, image.width, image.encoding) == (3, 4, "rgb8")
        assert set(image.data) == {9}
        link.gone = True

        def level() -> int:
            return client.heard["/diagnostics"].status[0].level[0]

        waiting(lambda: level() == 2)
        assert "gone" in client.heard["/diagnostics"].status[0].message


@with_ros
def test_a_stop_over_ros_is_the_kernels(client: Client, tmp_path: Path):
    """From end to end: a robot of ROS 2 in its own process, served as another node."""
    with (
        robot_node("/mine"),
        RobotProcess(StationConfig(f"ros2:{mapping(tmp_path, '/mine')}")) as link,
        serving(link) as service,
    ):
        waiting(lambda: "/mine/joint_states" in client.heard)
        assert client.call("cancel")[1] == "nothing was under way"  # found, before anything moves
        assert client.services["stop"].wait_for_service(5.0)
        with link.hold("me", lambda: True) as lease:
            link.ask("reach", key=lease.key, target={"shoulder": 1.5})
            time.sleep(0.2)
            held = client.heard["/mine/joint_states"].position[-1]
            assert client.call("stop") == (True, "stopped until reset_stop")
            waiting(lambda: link.ask("motion")["motion"]["state"] == "stopped")
        with pytest.raises(RefusedError, match="stopped"):
            link.ask("acquire", owner="me")
        waiting(lambda: client.heard["/mine/joint_states"].position[-1] == held + 1)
        service.tasks.beat()
        assert "nothing carries out tasks" in client.call("run")[1]
        assert client.call("cancel")[1] == "nothing was under way"
        assert client.call("reset_stop")[0]
        link.ask("release", key=link.ask("acquire", owner="me")["key"])


# ------------------------------------------------------------------ without ROS


def test_a_stopped_robot_and_a_second_task_are_refused():
    link = FakeLink()
    tasks = RosTasks(link, 5.0)
    tasks.choose("wave")
    tasks.beat()
    link.phase = "stopped"
    with pytest.raises(RefusedError, match="does not move"):
        tasks.run()
    link.phase = "idle"
    tasks.run()
    with pytest.raises(RefusedError, match="under way"):
        tasks.run()
    waiting(lambda: "task" in link.asked)
    assert tasks.cancel() == "cancelled"
    assert link.asked[-1] == "cancel"
    link.state = "succeeded"
    waiting(lambda: tasks.told()["said"] == "succeeded")
    tasks.close()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("heartbeat = 0.5", ConfigError, "at most 0.3"),
        ("rate = 0", ConfigError, "rate"),
        ("image_rate = 30", ConfigError, "image_rate"),
        ('[topics]\ntaks = "/task"', UnknownNameError, "did you mean 'topics.task'"),
        ('discovery = "all"', UnknownNameError, "subnet"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_named(
    tmp_path: Path, text: str, error: type[ConfigError], said: str
):
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(error) as found:
        read_mapping(Ros2ServiceConfig, path)
    assert said in str(found.value)
    assert str(path) in str(found.value)


def test_names_come_from_a_mapping(tmp_path: Path):
    path = tmp_path / "node.toml"
    path.write_text('node = "arm"\n[topics]\ntask = "/task"\n')
    assert read_mapping(Ros2ServiceConfig, path) == Ros2ServiceConfig("arm", topics=Ros2Topics(task="/task"))
