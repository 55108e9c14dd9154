"""The control runtime: chunks in a row, policies that are slow or die, and a loop that goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.robot_driver import ARM, HAND, HZ, FakeDriver, floats

from vla_data.errors import ConfigError
from vla_data.robots.cadence import Cadence
from vla_data.robots.chunk_queue import ChunkQueue
from vla_data.robots.control_loop import ControlLoop, MotionReport
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import SafetyKernel
from vla_data.robots.limits import limits_of
from vla_data.robots.motions import Gripping, Reaching, resting
from vla_data.robots.operating import TRUSTED, OperatorMotion
from vla_data.robots.policy_motion import AsyncConfig, PolicyMotion
from vla_data.robots.thinker import Answer, Thinker
from vla_data.types import ActionChunk, InputSpec, Observation, ObservationWindow, StepResult

HORIZON = 20
SPEC = InputSpec(ARM, (), HORIZON)
OK = StepResult(0.0, False)
REST = floats(0, 0, 0)


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.002)


# ------------------------------------------------------------------ chunks


@given(st.integers(0, 8), st.integers(1, 30), st.integers(1, 30), st.integers(0, 40), st.integers(0, 10))
def test_what_comes_next_is_of_the_new_chunk_and_faded_in(
    blend: int, old: int, new: int, sent: int, ago: int
):
    queue = ChunkQueue(blend)
    queue.add(np.zeros((sent + old, 1), np.float32), 0)
    for _ in range(sent):
        queue.next()
    made_at = max(0, sent - ago)
    coming = queue.add(np.ones((new, 1), np.float32), made_at)
    assert coming == max(0, new - (sent - made_at))
    if not coming:  # all of it is past: what waits stays
        assert len(queue) == old
        return
    told = [float(queue.next()[0]) for _ in range(len(queue))]  # type: ignore[index]
    assert len(told) == coming
    assert queue.next() is None
    faded = min(blend, old, coming)
    np.testing.assert_allclose(told[:faded], [(i + 1) / (blend + 1) for i in range(faded)], rtol=1e-6)
    assert told[faded:] == [1.0] * (coming - faded)


def test_a_robot_that_stood_still_begins_a_chunk_at_its_beginning():
    queue = ChunkQueue(4)
    queue.add(np.arange(5, dtype=np.float32)[:, None], 0)
    assert [float(queue.next()[0]) for _ in range(5)] == [0, 1, 2, 3, 4]  # type: ignore[index]
    assert queue.next() is None
    assert queue.sent == 5
    queue.add(np.arange(3, dtype=np.float32)[:, None], 5)  # asked for while nothing was sent
    assert float(queue.next()[0]) == 0  # type: ignore[index]
    queue.clear()
    assert queue.next() is None


# ------------------------------------------------------------------ a policy that thinks beside the robot


class Slow:
    """Answers when it is let; its actions count from the number of its question."""

    def __init__(self, spec: InputSpec = SPEC) -> None:
        self.input_spec = spec
        self.let = threading.Semaphore(0)
        self.asked: list[ObservationWindow] = []
        self.seeds: list[int] = []
        self.wrong: Exception | None = None
        self.closed = 0

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        self.seeds += seeds

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        self.asked += windows
        assert self.let.acquire(timeout=10)
        if self.wrong is not None:
            raise self.wrong
        rows = np.full((HORIZON, 3), len(self.asked) / 100, np.float32)
        return [ActionChunk(rows, self.input_spec.robot.action)]

    def close(self) -> None:
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Driving:
    """A policy motion stepped by hand at 20 Hz."""

    def __init__(self, config: AsyncConfig | None = None, steps: int = 1000, spec: InputSpec = SPEC) -> None:
        self.policy, self.clock = Slow(spec), Clock()
        self.motion = PolicyMotion(spec, lambda: self.policy, "go", self.clock, steps, config, seed=7)

    def step(self, seconds: float = 1 / HZ) -> float | None:
        """One control step; the first number of what is sent."""
        seen = Observation(self.clock.now, {}, np.zeros(3, np.float32))
        action = self.motion.next(seen, None)
        if action is not None:
            self.motion.did(action, OK)
        self.clock.now += seconds
        return None if action is None else float(action[0])

    def answer(self) -> None:
        """Let it answer, and wait until it has."""
        self.policy.let.release()
        until(lambda: not self.motion._thinker.busy)


def test_the_next_chunk_is_asked_for_while_the_current_one_runs():
    driving = Driving(AsyncConfig(execute=1, blend=0))
    assert driving.step() is None
    assert driving.motion.state == "waiting"
    driving.answer()
    told = [driving.step() for _ in range(6)]
    assert told == [pytest.approx(0.01)] * 6, "the robot goes on while the second question is thought about"
    until(lambda: len(driving.policy.asked) == 2)
    driving.answer()
    assert driving.step() == pytest.approx(0.02), "and the new chunk takes over"
    assert driving.policy.seeds == [7]
    driving.motion.close()


def test_a_policy_that_freezes_does_not_drive_and_its_late_answer_is_dropped():
    driving = Driving(AsyncConfig(blend=0, blind=0.33))
    driving.step()
    driving.answer()
    seconds = 0.0
    while driving.step() is not None:
        seconds += 1 / HZ
    assert 0.3 <= seconds <= 0.33 + 2 / HZ, "half of the chunk still waited"
    assert driving.motion.late == 1
    driving.answer()  # of the question that was given up on
    assert driving.step() is None
    assert driving.motion.dropped == 1
    until(lambda: len(driving.policy.asked) == 3)
    driving.answer()
    assert driving.step() == pytest.approx(0.03), "a fresh observation counts again"
    driving.motion.close()


def test_a_slow_policy_moves_a_robot_that_waited_for_it():
    driving = Driving(AsyncConfig(blend=0, patience=3.0))
    for _ in range(20):  # a second
        assert driving.step() is None
    driving.answer()
    assert driving.step() == pytest.approx(0.01)
    driving.motion.close()


def test_a_policy_that_never_answers_is_lost():
    driving = Driving(AsyncConfig(patience=2.0))
    steps = 0
    while driving.motion.state != "failed":
        driving.step()
        steps += 1
    assert steps == pytest.approx(2.0 * HZ, abs=3)
    assert "the policy is lost" in driving.motion.said
    driving.policy.let.release()
    driving.motion.close()


def test_a_policy_that_fails_is_opened_anew():
    driving = Driving()
    driving.policy.wrong = RobotError("its server hung up")
    driving.step()
    driving.answer()
    assert driving.step() is None
    assert "hung up" in driving.motion.said
    assert driving.policy.closed == 1
    driving.policy.wrong = None
    until(lambda: len(driving.policy.asked) == 2)
    driving.answer()
    assert driving.step() is not None
    driving.motion.close()


def test_a_policy_is_told_what_was_sent():
    driving = Driving(AsyncConfig(execute=1, blend=0), spec=InputSpec(ARM, (), HORIZON, past_actions=3))
    driving.step()
    driving.answer()
    for _ in range(4):
        driving.step()
    until(lambda: len(driving.policy.asked) == 2)
    np.testing.assert_allclose(driving.policy.asked[0].past_actions, 0)
    np.testing.assert_allclose(driving.policy.asked[1].past_actions[:, 0], [0, 0, 0.01], atol=1e-6)
    driving.policy.let.release()
    driving.motion.close()


def test_a_chunk_that_is_not_finite_moves_nothing():
    class Broken(Slow):
        def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
            return [ActionChunk(np.full((HORIZON, 3), np.nan, np.float32), ARM.action)]

    thinker = Thinker(Broken, time.monotonic)
    thinker.ask(1, SPEC.fake_window())
    until(lambda: not thinker.busy)
    answer = thinker.answer()
    assert isinstance(answer, Answer)
    assert answer.actions is None
    assert "not finite" in answer.error
    assert thinker.answer() is None
    thinker.close()


def test_a_task_ends_by_success_or_by_its_steps():
    driving = Driving(steps=2)
    driving.step()
    driving.answer()
    driving.step()
    assert driving.motion.state == "moving"
    driving.step()
    assert driving.motion.state == "ended"
    driving.motion.did(REST, StepResult(1.0, True))
    assert driving.motion.state == "succeeded"
    driving.policy.let.release()
    driving.motion.close()


@pytest.mark.parametrize("wrong", [{"blind": 0.5}, {"blind": 0.0}, {"execute": 0}, {"patience": 0.1}])
def test_a_policy_cannot_drive_like_this(wrong: dict[str, float]):
    with pytest.raises(ConfigError):
        AsyncConfig(**wrong)  # type: ignore[arg-type]


# ------------------------------------------------------------------ other motions


def test_reaching_arrives_and_leaves_the_rest_where_it_is():
    driver = FakeDriver(follows=2)
    driver.state[:] = (0.3, -0.4, 0.7)
    kernel = SafetyKernel(driver, limits=limits_of(ARM, acceleration=6.0))
    kernel.connect()
    lease, motion, last = kernel.acquire("me"), Reaching(ARM, {"shoulder": -0.6}), None
    for _ in range(200):
        driver.time += 1 / HZ
        seen = kernel.observe()
        action = motion.next(seen, last)
        assert action is not None
        last = kernel.command(lease.key, action, seen.time)
        kernel.renew(lease.key)
        motion.did(REST, OK)
        if motion.state != "moving":
            break
    assert motion.state == "succeeded"
    assert driver.state[0] == pytest.approx(-0.6, abs=0.006)
    assert driver.state[1] == pytest.approx(-0.4, abs=1e-6)
    fastest = np.abs(np.diff([a[0] for _, a in driver.sent])).max() * HZ
    assert fastest <= 1.5 + 1e-5


def test_reaching_gives_up_where_nothing_moves():
    motion = Reaching(HAND, {"x": 0.2}, seconds=0.5)
    for _ in range(10):
        action = motion.next(Observation(0.0, {}, floats(0.0, 0.4, 0.1)), None)
        assert action is not None
        assert action[0] > 0
        assert action[1] == action[2] == 0
        motion.did(REST, OK)
    assert motion.state == "failed"
    assert "200 mm" in motion.said


def test_a_robot_is_not_moved_where_it_cannot_be():
    with pytest.raises(ConfigError, match="cannot be moved") as error:
        Reaching(ARM, {"x": 0.1})
    assert error.value.expected is not None
    assert "shoulder" in error.value.expected


def test_a_gripper_is_driven_while_the_arm_rests():
    seen = Observation(0.0, {}, floats(0.3, -0.4, 0.0))
    motion = Gripping(ARM, close=True, seconds=0.1)
    np.testing.assert_allclose(motion.next(seen, None), [0.3, -0.4, 1.0], rtol=1e-6)  # type: ignore[arg-type]
    motion.did(REST, OK)
    motion.did(REST, OK)
    assert motion.state == "succeeded"
    np.testing.assert_allclose(resting(ARM, seen, floats(9, 9, -1)), [0.3, -0.4, -1.0], rtol=1e-6)


def test_what_a_person_asks_for_is_trusted_for_a_moment():
    motion = OperatorMotion(ARM)
    seen = Observation(0.0, {}, np.zeros(3, np.float32))
    assert motion.next(seen, None) is None
    motion.want(floats(0.1, 0.2, 1))
    assert motion.next(seen, None) is not None
    assert motion.state == "moving"
    time.sleep(TRUSTED + 0.02)
    assert motion.next(seen, None) is None
    assert motion.state == "waiting"
    for wrong in (None, [0, 0, 0], floats(0, 0), floats(0, 0, np.nan), np.array(["a", "b", "c"])):
        with pytest.raises(ConfigError):
            motion.want(wrong)


# ------------------------------------------------------------------ the loop


class LiveDriver(FakeDriver):
    """A fake in real time."""

    def clock(self) -> float:
        return time.monotonic()

    def read(self, *, images: bool = True) -> Observation:
        self.time = time.monotonic()
        return super().read(images=images)

    def send(self, action: np.ndarray) -> None:
        self.time = time.monotonic()
        super().send(action)


class Forever:
    """Goes on until it is told otherwise."""

    looks = False

    def __init__(self, action: np.ndarray | None = None) -> None:
        self.state, self.said, self.closed, self.failing = "moving", "", False, False
        self.action = floats(0.01, 0.0, 0.0) if action is None else action

    def next(self, seen: Observation, last: np.ndarray | None) -> np.ndarray | None:
        if self.failing:
            raise ValueError("a bug")
        return self.action

    def did(self, action: np.ndarray, result: StepResult) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def live() -> LiveDriver:
    return LiveDriver(follows=2)


def looping(live: LiveDriver, **parts: object) -> ControlLoop:
    kernel = SafetyKernel(live, limits=limits_of(ARM, acceleration=6.0))
    kernel.connect()
    return ControlLoop(kernel, **parts)  # type: ignore[arg-type]


def test_a_motion_moves_until_its_lease_runs_out(live: LiveDriver):
    with looping(live) as loop:
        motion, began = Forever(), time.monotonic()
        loop.start(loop.kernel.acquire("me", 0.3).key, "go", motion)  # type: ignore[arg-type]
        until(lambda: loop.report().state == "left")
        until(lambda: loop.kernel.state().phase == "idle")
        assert motion.closed
    assert len(live.sent) >= 4
    assert live.sent[-1][0] - began <= 0.3 + 0.25, "braking included"


def test_a_stop_ends_a_motion_at_once(live: LiveDriver):
    with looping(live) as loop:
        key = loop.kernel.acquire("me").key
        loop.start(key, "go", Forever())  # type: ignore[arg-type]
        until(lambda: len(live.sent) > 2)
        loop.kernel.stop("a person")
        sent = len(live.sent)
        until(lambda: loop.report().state == "stopped")
        time.sleep(0.15)
        assert len(live.sent) == sent


def test_what_is_asked_for_is_done_between_steps_in_the_loops_thread(live: LiveDriver):
    with looping(live) as loop:
        assert loop.ask(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            loop.ask(lambda: 1 // 0)
    with pytest.raises(RobotError):
        loop.ask(threading.get_ident)


def test_a_new_motion_takes_the_place_of_the_old(live: LiveDriver):
    ends: list[MotionReport] = []
    with looping(live, on_end=ends.append) as loop:
        key = loop.kernel.acquire("me").key
        first, second = Forever(), Forever(floats(-0.01, 0, 0))
        loop.start(key, "one", first)  # type: ignore[arg-type]
        until(lambda: len(live.sent) > 1)
        assert loop.start(key, "two", second) == 2  # type: ignore[arg-type]
        until(lambda: bool(ends))
        loop.cancel("enough")
        until(lambda: len(ends) == 2)
    assert [(e.what, e.state) for e in ends] == [("one", "replaced"), ("two", "left")]
    assert first.closed
    assert second.closed
    assert ends[1].said == "enough"


def test_a_motion_with_a_bug_ends_and_the_loop_goes_on(live: LiveDriver):
    with looping(live) as loop:
        motion = Forever()
        motion.failing = True
        loop.start(loop.kernel.acquire("me").key, "go", motion)  # type: ignore[arg-type]
        until(lambda: loop.report().state == "failed")
        assert "a bug" in loop.report().said
        assert loop.ask(lambda: 3) == 3


def test_an_unplugged_robot_fails_its_motion_and_can_be_connected_again(live: LiveDriver):
    with looping(live) as loop:
        loop.start(loop.kernel.acquire("me").key, "go", Forever())  # type: ignore[arg-type]
        until(lambda: len(live.sent) > 1)
        live.gone = True
        until(lambda: loop.report().state == "failed")
        assert loop.kernel.state().phase == "fault"
        live.gone = False
        loop.ask(loop.kernel.connect)
        assert loop.kernel.state().phase == "idle"


def test_what_is_done_is_told_step_by_step(live: LiveDriver):
    told: list[tuple[float, float]] = []
    with looping(
        live, on_step=lambda seen, action, result, _: told.append((seen.time, float(action[0])))
    ) as loop:
        loop.start(loop.kernel.acquire("me", 0.3).key, "go", Forever())  # type: ignore[arg-type]
        until(lambda: loop.report().state == "left")
    assert len(told) == loop.report().steps >= 4
    assert np.all(np.diff([t for t, _ in told]) > 0)


def test_a_cadence_counts_what_is_late_and_what_never_came():
    cadence = Cadence(0.1)
    for i in range(98):
        cadence.began(i, i + 0.001)
        cadence.ended(i + 0.051)
    cadence.began(98, 98.03)
    cadence.ended(98.03)
    cadence.began(99, 99.25, left_out=2)
    cadence.ended(99.25)
    report = cadence.report()
    assert report.ticks == 100
    assert report.late == 4
    assert report.late_share == 0.04
    assert report.p50 == pytest.approx(0.001, abs=1e-6)
    assert report.worst == pytest.approx(0.25, abs=1e-5)
    assert report.busy == pytest.approx(0.49, abs=1e-6)
    assert Cadence(0.1).report().ticks == 0
