"""A robot's process: what it is asked, who may move it, and what it does when they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.robot_driver import ARM, FakeDriver, floats

pytest.importorskip("mujoco")

from vla_data.errors import ConfigError, VlaError
from vla_data.robots.control_loop import ControlLoop
from vla_data.robots.driver import RobotError
from vla_data.robots.episode_log import EpisodeLog, KeptEpisodes
from vla_data.robots.kernel import RefusedError, SafetyKernel
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.robot_service import RobotService
from vla_data.robots.station import Station, StationConfig
from vla_data.types import Observation, StepResult, Trial

LEASE = 0.5


@pytest.fixture(scope="module")
def link() -> Iterator[RobotLink]:
    with RobotProcess(StationConfig("arm")) as link:
        yield link


def test_an_arm_in_a_process_of_its_own_is_moved_under_a_lease(link: RobotLink):
    assert link.spec.name == "joint-panda"
    assert not link.skills
    with link.hold("me", lambda: True) as lease:
        number = link.ask("reach", key=lease.key, target={"joint1": 0.2})["number"]
        while (told := link.ask("motion")["motion"])["state"] in ("moving", "waiting"):
            time.sleep(0.02)
        assert (told["number"], told["state"]) == (number, "succeeded")
    state = link.ask("state")
    assert state["state"][0] == pytest.approx(0.2, abs=0.01)
    assert state["kernel"]["owner"] is None
    assert link.observe().images["front"].shape == (256, 256, 3)


def test_two_cannot_move_it_but_a_person_may_take_over(link: RobotLink):
    with link.hold("policy", lambda: True) as first:
        with pytest.raises(RefusedError) as error:
            link.ask("acquire", owner="another")
        assert error.value.reason == "owned"
        with link.hold("a person", lambda: True, seize=True):
            with pytest.raises(RefusedError):
                link.ask("renew", key=first.key)
            assert link.ask("state")["kernel"]["owner"] == "a person"


def test_whoever_leaves_lets_go(link: RobotLink):
    there = True
    with link.hold("me", lambda: there) as lease:
        link.ask("reach", key=lease.key, target={"joint1": -1.5})
        time.sleep(0.3)
        there = False
        gone = time.monotonic()
        while link.ask("motion")["kernel"]["phase"] not in ("idle", "braking"):
            assert time.monotonic() - gone < LEASE
            time.sleep(0.01)
    assert lease.lost


def test_after_a_stop_nothing_moves_until_it_is_taken_back(link: RobotLink):
    with link.hold("me", lambda: True) as lease:
        link.ask("reach", key=lease.key, target={"joint1": 1.5})
        time.sleep(0.2)
        link.ask("stop", reason="enough")
    with pytest.raises(RefusedError) as error:
        link.ask("acquire", owner="me")
    assert error.value.reason == "stopped"
    time.sleep(0.1)  # an arm at 2 rad/s does not stand at once
    before = link.ask("state")["state"][:7]
    time.sleep(0.3)
    np.testing.assert_allclose(link.ask("state")["state"][:7], before, atol=0.02)
    link.ask("reset_stop")
    link.ask("release", key=link.ask("acquire", owner="me")["key"])


def test_a_person_drives_action_by_action(link: RobotLink):
    here = link.ask("state")["state"][:7]
    with link.hold("a person", lambda: True) as lease:
        link.ask("operate", key=lease.key, instruction="by hand")
        for _ in range(15):
            link.ask("command", key=lease.key, action=here + floats(0, 0, 0, 0, 0, 0, 0.3))
            time.sleep(0.02)
    assert link.ask("state")["state"][6] > here[6] + 0.02


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"do": "fly"}, ConfigError),
        ({"do": "acquire"}, VlaError),
        ({"do": "acquire", "owner": "x" * 5000}, VlaError),
        ({"do": "acquire", "owner": "me", "seconds": float("inf")}, VlaError),
        ({"do": "acquire", "owner": "me", "seconds": 60.0}, RefusedError),
        ({"do": "renew", "key": "none"}, RefusedError),
        ({"do": "reach", "key": "none", "target": {"joint1": float("nan")}}, VlaError),
        ({"do": "reach", "key": "none", "target": {}}, VlaError),
        ({"do": "reach", "key": "none", "target": {"x": 1.0}}, ConfigError),
        ({"do": "grip", "key": "none", "close": True}, ConfigError),
        ({"do": "task", "key": "none", "skill": "fly", "instruction": "fly"}, VlaError),
    ],
)
def test_what_is_wrong_is_said(link: RobotLink, message: dict, error: type[VlaError]):
    with pytest.raises(error):
        link.ask(**message)


def test_a_robot_that_cannot_be_opened_says_why():
    with pytest.raises(VlaError, match="could not be started") as error, RobotProcess(StationConfig("robby")):
        pass
    assert error.value.got is not None
    assert "sim-metaworld" in error.value.got


CLIENT = """
import sys, time
from vla_data.robots.robot_link import RobotLink
link = RobotLink(sys.argv[1])
with link.hold("victim", lambda: True) as lease:
    link.ask("reach", key=lease.key, target={"joint1": float(sys.argv[2])})
    print("moving", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("deed", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_is_killed_or_frozen_moves_nothing_longer_than_its_lease(link: RobotLink, deed: int):
    for target in ("2.5", "-2.5"):
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, link.address, target], stdout=subprocess.PIPE, text=True
        )
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "moving\n"
            time.sleep(0.15)
            assert link.ask("motion")["kernel"]["phase"] == "moving"
            os.kill(client.pid, deed)
            killed = time.monotonic()
            while link.ask("motion")["kernel"]["owner"] is not None:
                assert time.monotonic() - killed < LEASE + 0.1
                time.sleep(0.005)
            while link.ask("motion")["kernel"]["phase"] != "idle":
                assert time.monotonic() - killed < LEASE + 0.5, "2 rad/s at 8 rad/s² takes 0.25 s"
                time.sleep(0.005)
        finally:
            client.kill()
            client.wait()


def test_a_robot_whose_process_is_gone_says_so():
    process = RobotProcess(StationConfig("arm"))
    with process as link:
        process.process.kill()
        process.process.join()
        with pytest.raises(RobotError, match="gone"):
            link.ask("state")


# ------------------------------------------------------------------ without a process


class _Station(Station):
    def __init__(self, loop: ControlLoop) -> None:
        self.loop, self.skills, self.operator = loop, {"one": ("do one",)}, None
        self._sim, self._log, self._move = None, None, None
        self.config = StationConfig("fake")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "owner",
    "key",
    "seconds",
    "target",
    "close",
    "action",
    "observed_at",
    "reason",
    "skill",
    "instruction",
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["state", "acquire", "renew", "reach", "grip", "command", "cancel", "task", "operate"]
            ),
            st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
        ),
        max_size=6,
    )
)
def test_whatever_it_is_asked_it_answers_and_nothing_moves_without_a_lease(asked: list):
    driver = FakeDriver()
    kernel = SafetyKernel(driver)
    kernel.connect()
    loop = ControlLoop(kernel)
    loop.ask = lambda do, seconds=0.0: do()  # type: ignore[method-assign,assignment]
    service = RobotService(_Station(loop))
    for do, told in asked:
        assert isinstance(service.answer({"do": do, **told}), dict)
    assert not driver.sent


# ------------------------------------------------------------------ what is kept


def test_episodes_are_kept_one_by_one_and_put_together(tmp_path: Path):
    from vla_data.formats import open_episodes

    for times in (2, 1):  # two sessions into one directory
        log = EpisodeLog(KeptEpisodes(tmp_path, "arm", ARM, ()), ARM, ())
        for number in range(times):
            log.expect(Trial("wave", number, "wave your hand"))
            for i in range(5):
                seen = Observation(100.0 + i / 20, {}, floats(i, 0, 0))
                log.step(seen, floats(i, number, 0), StepResult(0.0, False))
            log.end(number == 0)
        log.close()
    kept = KeptEpisodes(tmp_path, "arm", ARM, ())
    kept.assemble("waving")
    source = open_episodes(str(kept.directory))
    assert len(source) == 3
    first = source[0]
    assert first.instruction == "wave your hand"
    assert len(first) == 5
    np.testing.assert_allclose(first.time, np.arange(5) / 20, atol=1e-6)
    np.testing.assert_allclose(first.action[:, 0], range(5))
    assert [source[i].metadata["success"] for i in range(3)] == [True, False, True]


@pytest.mark.parametrize("successes_only", [False, True])
def test_an_episode_waits_for_its_verdict(tmp_path: Path, successes_only: bool):
    from vla_data.formats import open_episodes

    kept = KeptEpisodes(tmp_path, "arm", ARM, ())
    log = EpisodeLog(kept, ARM, (), successes_only=successes_only)
    verdicts: list[bool | None] = [True, None, False, True, None]  # None: nobody said anything
    for number, verdict in enumerate(verdicts):
        log.expect(Trial("wave", number, "wave your hand"))
        log.step(Observation(0.0, {}, floats(0, 0, 0)), floats(number, 0, 0), StepResult(0.0, False))
        log.end(None)
        if verdict is not None:
            log.judge(verdict)
            log.judge(not verdict)  # the first one counts
    log.close()
    kept.assemble("waving")
    source = open_episodes(str(kept.directory))
    told = [(float(e.action[0, 0]), e.metadata["success"]) for e in (source[i] for i in range(len(source)))]
    every = [(0.0, True), (1.0, False), (2.0, False), (3.0, True), (4.0, False)]
    assert told == ([t for t in every if t[1]] if successes_only else every)


def test_episodes_of_another_robot_are_not_mixed(tmp_path: Path):
    from tests.data.robot_driver import HAND

    kept = KeptEpisodes(tmp_path, "arm", ARM, ())
    log = EpisodeLog(kept, ARM, ())
    log.step(Observation(0.0, {}, floats(0, 0, 0)), floats(0, 0, 0), StepResult(0.0, False))
    log.close()
    kept.require_same()
    with pytest.raises(ConfigError, match="another robot"):
        KeptEpisodes(tmp_path, "arm", HAND, ()).require_same()


def test_a_full_disk_does_not_stop_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = KeptEpisodes(tmp_path, "arm", ARM, ())
    written = threading.Event()

    def full(number: int, episode: object) -> None:
        written.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "keep", full)
    log = EpisodeLog(kept, ARM, ())
    log.step(Observation(0.0, {}, floats(0, 0, 0)), floats(0, 0, 0), StepResult(0.0, False))
    log.close()
    assert written.is_set()
    assert log.written == 0
