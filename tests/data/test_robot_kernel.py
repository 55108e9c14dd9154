"""The invariants of the safety kernel, against a robot that remembers all that reached it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.data.robot_driver import ARM, HZ, FakeDriver, floats

import vla_data.robots.kernel as kernel_module
from vla_data.errors import ConfigError
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.kernel import KernelConfig, RefusedError, SafetyKernel
from vla_data.robots.limits import limits_of

LIMITS = limits_of(ARM, acceleration=6.0)
GOOD = floats(0.01, 0.0, 1.0)


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver()


@pytest.fixture
def kernel(driver: FakeDriver) -> SafetyKernel:
    kernel = SafetyKernel(driver, limits=LIMITS)
    kernel.connect()
    return kernel


def refused(reason: str, call, *args) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        call(*args)
    assert error.value.reason == reason
    return error.value


def test_the_fake_is_a_driver(driver: FakeDriver):
    assert isinstance(driver, Driver)


def test_a_command_moves_and_silence_brakes_and_holds(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("policy")
    for i in range(5):
        driver.time += 0.05
        kernel.observe()
        kernel.command(lease.key, floats(0.02 * i, 0, 1), driver.time)
        kernel.tick()
    assert kernel.state().phase == "moving"
    held = len(driver.held)
    stopped_sending = driver.time
    while kernel.state().phase != "idle":
        driver.time += 0.05
        kernel.tick()
        assert driver.time < stopped_sending + 1.0
    assert len(driver.held) == held + 1
    places = [a[0] for _, a in driver.sent]
    assert np.abs(np.diff(places, 2)).max() * HZ**2 <= 6.0 + 1e-3  # braking is no jerk either


def test_nothing_moves_without_a_lease_and_one_owner_has_it(driver: FakeDriver, kernel: SafetyKernel):
    refused("lease", kernel.command, "guess", GOOD, driver.time)
    lease = kernel.acquire("one")
    error = refused("owned", kernel.acquire, "two")
    assert "one" in str(error)
    kernel.release("guess")
    refused("lease", kernel.command, "", GOOD, driver.time)
    kernel.command(lease.key, GOOD, driver.time)
    kernel.release(lease.key)
    refused("lease", kernel.command, lease.key, GOOD, driver.time)
    assert kernel.acquire("two").key != lease.key


def test_a_lease_that_is_not_renewed_ends(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("one", 0.3)
    driver.time += 0.2
    kernel.renew(lease.key, 0.3)
    driver.time += 0.2
    kernel.observe()
    kernel.command(lease.key, GOOD, driver.time)
    driver.time += 0.11
    refused("lease", kernel.command, lease.key, GOOD, driver.time)
    refused("lease", kernel.renew, lease.key)
    assert kernel.acquire("two").owner == "two"


def test_commands_come_at_the_control_rate(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("one")
    kernel.command(lease.key, GOOD, driver.time)
    refused("rate", kernel.command, lease.key, GOOD, driver.time)
    driver.time += 0.03
    kernel.command(lease.key, GOOD, driver.time)  # half a step sooner, once
    driver.time += 0.03
    refused("rate", kernel.command, lease.key, GOOD, driver.time)
    driver.time += 0.03
    kernel.command(lease.key, GOOD, driver.time)


@pytest.mark.parametrize("seconds", [0, -1, 0.51, 1e9, float("nan"), float("inf")])
def test_a_lease_is_short(kernel: SafetyKernel, seconds: float):
    refused("lease", kernel.acquire, "one", seconds)


def test_a_stop_is_kept_until_it_is_taken_back(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("one")
    kernel.command(lease.key, GOOD, driver.time)
    kernel.stop("a person pressed the button")
    sent, held = len(driver.sent), driver.held[-1]
    assert held == driver.time
    error = refused("stopped", kernel.command, lease.key, GOOD, driver.time)
    assert "button" in str(error)
    refused("stopped", kernel.acquire, "two")
    for _ in range(20):
        driver.time += 0.05
        kernel.tick()
    kernel.connect()
    assert kernel.state().phase == "stopped"  # plugging in again takes nothing back
    assert len(driver.sent) == sent
    kernel.reset_stop()
    refused("lease", kernel.command, lease.key, GOOD, driver.time)
    kernel.command(kernel.acquire("one").key, GOOD, driver.time)


def test_observations_of_another_time_are_refused(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("one")
    refused("stale", kernel.command, lease.key, GOOD, driver.time - 0.6)
    refused("future", kernel.command, lease.key, GOOD, driver.time + 0.1)
    for told in (float("nan"), float("inf"), -float("inf"), "now", None):
        with pytest.raises(RefusedError):
            kernel.command(lease.key, GOOD, told)  # type: ignore[arg-type]
    kernel.command(lease.key, GOOD, driver.time - 0.1)
    refused("reordered", kernel.command, lease.key, GOOD, driver.time - 0.2)
    assert len(driver.sent) == 1


def test_nobody_moves_a_robot_at_which_nobody_looks(driver: FakeDriver, kernel: SafetyKernel):
    driver.time += 0.6
    lease = kernel.acquire("one")
    refused("stale", kernel.command, lease.key, GOOD, driver.time)
    kernel.observe()
    kernel.command(lease.key, GOOD, driver.time)


@pytest.mark.parametrize(
    "action",
    [
        floats(np.nan, 0, 0),
        floats(0, np.inf, 0),
        floats(0, 0),
        np.zeros((1, 3), np.float32),
        np.array(["NaN"] * 3),
        np.array([None] * 3),
        np.zeros(3, complex),
        [0, 0, 0],
        None,
        "stop",
    ],
)
def test_what_is_no_action_is_refused(driver: FakeDriver, kernel: SafetyKernel, action):
    lease = kernel.acquire("one")
    refused("action", kernel.command, lease.key, action, driver.time)
    assert not driver.sent


def test_a_robot_that_is_unplugged_is_faulty_until_it_is_connected(driver: FakeDriver, kernel: SafetyKernel):
    lease = kernel.acquire("one")
    driver.gone = True
    with pytest.raises(RobotError):
        kernel.command(lease.key, GOOD, driver.time)
    refused("fault", kernel.command, lease.key, GOOD, driver.time)
    refused("fault", kernel.acquire, "two")
    kernel.stop("to be sure")
    kernel.reset_stop()
    assert kernel.state().phase == "fault"
    with pytest.raises(RobotError):
        kernel.connect()
    driver.gone = False
    kernel.connect()
    assert kernel.state().phase == "idle"
    driver.gone = True
    with pytest.raises(RobotError):
        kernel.observe()
    assert kernel.state().phase == "fault"


def test_a_robot_that_is_not_connected_is_named(driver: FakeDriver):
    kernel = SafetyKernel(driver)
    for call in (kernel.observe, lambda: kernel.acquire("one")):
        with pytest.raises(RobotError, match="not connected"):
            call()
    kernel.connect()
    kernel.close()
    with pytest.raises(RobotError):
        kernel.observe()


@pytest.mark.parametrize(
    "wrong", [{"lease": 0.6}, {"lease": 0}, {"silence": 0.5, "lease": 0.4}, {"oldest": 0}, {"ahead": -1}]
)
def test_trust_has_bounds(wrong):
    with pytest.raises(ConfigError):
        KernelConfig(**wrong)


def test_the_kernel_depends_on_numpy_and_the_vocabulary_alone():
    allowed = {"vla_data.errors", "vla_data.types", "vla_data.robots.driver", "vla_data.robots.limits"}
    for module in ("kernel", "limits", "driver"):
        source = Path(str(kernel_module.__file__)).with_name(f"{module}.py").read_text()
        named = {n.module for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom) and n.module}
        assert {n for n in named if n.startswith("vla")} <= allowed
        assert not {n.split(".")[0] for n in named} & {"torch", "mujoco", "websockets", "multiprocessing"}


ANY = st.one_of(
    st.tuples(*[st.floats(width=32)] * 3).map(lambda t: floats(*t)),
    st.lists(st.floats(), max_size=5).map(np.array),
    st.sampled_from([None, "NaN", [1, 2, 3], np.array(["1", "2", "3"]), np.zeros((3, 3))]),
)


class Abuse(RuleBasedStateMachine):
    """Clients that do anything in any order; the robot's memory is what is judged."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = FakeDriver(follows=2)
        self.kernel = SafetyKernel(self.driver, limits=LIMITS)
        self.keys: list[str] = ["guess"]
        self.owner: tuple[str, float] | None = None  # key and end, as a client knows them
        self.stopped = False
        self.judged = 0

    @initialize()
    def plug(self) -> None:
        self.kernel.connect()

    @rule(owner=st.sampled_from("ab"), seconds=st.floats(-1, 1) | st.none())
    def acquire(self, owner: str, seconds: float | None) -> None:
        free = self.owner is None or self.driver.time >= self.owner[1]
        try:
            lease = self.kernel.acquire(owner, seconds)
        except (RefusedError, RobotError):
            return
        assert free
        assert not self.stopped
        self.keys.append(lease.key)
        self.owner = (lease.key, lease.until)

    @rule(data=st.data(), seconds=st.floats(0.01, 0.5))
    def renew(self, data: st.DataObject, seconds: float) -> None:
        key = data.draw(st.sampled_from(self.keys))
        try:
            lease = self.kernel.renew(key, seconds)
        except (RefusedError, RobotError):
            return
        assert self.owner is not None
        assert self.owner[0] == key
        self.owner = (key, lease.until)

    @rule(data=st.data(), action=ANY, age=st.sampled_from([0.0, 0.1, 0.6, -1.0, float("nan")]))
    def command(self, data: st.DataObject, action, age: float) -> None:
        key = data.draw(st.sampled_from(self.keys))
        before = len(self.driver.sent)
        try:
            self.kernel.command(key, action, self.driver.time - age)
        except (RefusedError, RobotError):
            assert len(self.driver.sent) == before
            return
        assert not self.stopped
        assert self.owner is not None
        assert self.owner[0] == key
        assert self.driver.time < self.owner[1]
        assert age in (0.0, 0.1)

    @rule(data=st.data())
    def good(self, data: st.DataObject) -> None:
        """What a client that means well does, so that there is something to judge."""
        if self.owner is None or self.driver.gone:
            return
        wanted = floats(*data.draw(st.tuples(*[st.floats(-3, 3, width=32)] * 3)))
        try:
            self.kernel.observe()
            self.kernel.command(self.owner[0], wanted, self.driver.time)
        except (RefusedError, RobotError):
            return

    @rule(seconds=st.sampled_from([0.05, 0.05, 0.05, 0.3]))
    def wait(self, seconds: float) -> None:
        before = len(self.driver.sent)
        over = self.owner is not None and self.driver.time + seconds >= self.owner[1]
        self.driver.time += seconds
        self.kernel.tick()
        if self.stopped:
            assert len(self.driver.sent) == before
        if over:
            assert self.kernel.state().phase != "moving"

    @rule()
    def stop(self) -> None:
        self.kernel.stop("test")
        self.stopped, self.owner = True, None

    @rule()
    def reset_stop(self) -> None:
        self.kernel.reset_stop()
        self.stopped = False

    @rule(gone=st.booleans())
    def unplug(self, gone: bool) -> None:
        self.driver.gone = gone
        try:
            self.kernel.connect() if not gone else self.kernel.observe()
        except RobotError:
            self.owner = None

    @invariant()
    def what_reached_the_robot_is_allowed(self) -> None:
        low, high = np.array(LIMITS.low), np.array(LIMITS.high)
        for _, action in self.driver.sent[self.judged :]:
            assert action.shape == (3,)
            assert np.isfinite(action).all()
            assert (action >= low - 1e-5).all()
            assert (action <= high + 1e-5).all()
        latest = self.driver.sent[max(0, self.judged - 1) :]
        if len(latest) > 1:
            steps = np.diff(np.stack([a[:2] for _, a in latest]), axis=0)
            assert (np.abs(steps) * HZ <= np.array(LIMITS.speed[:2]) + 1e-3).all()
        self.judged = len(self.driver.sent)

    @invariant()
    def what_reached_the_robot_came_at_its_rate(self) -> None:
        times = np.array([t for t, _ in self.driver.sent])
        for later in range(1, min(len(times), 10)):
            assert (times[later:] - times[:-later] >= (later - 0.5) / HZ - 1e-6).all()


TestAbuse = Abuse.TestCase
TestAbuse.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_commands_of_any_kind_leave_no_violation(seed: int):
    """Random commands with a robot that goes where it is told: targets, speeds and their changes."""
    rng = np.random.default_rng(seed)
    driver = FakeDriver()
    kernel = SafetyKernel(driver, limits=LIMITS)
    kernel.connect()
    lease = kernel.acquire("one")
    strange = [np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0]
    place, speed = np.zeros(2), np.zeros(2)
    for _ in range(200):
        driver.time += 1 / HZ
        kernel.observe()
        kernel.renew(lease.key)
        wanted = rng.normal(scale=rng.choice([0.01, 1, 100]), size=3).astype(np.float32)
        if rng.random() < 0.2:
            wanted[rng.integers(3)] = rng.choice(strange)
        before = len(driver.sent)
        try:
            kernel.command(lease.key, wanted, driver.time)
        except RefusedError:
            assert not np.isfinite(wanted).all()
            assert len(driver.sent) == before
            kernel.tick()
            continue
        sent = driver.sent[-1][1]
        new = (sent[:2] - place) * HZ
        assert (np.abs(new) <= np.array(LIMITS.speed[:2]) + 1e-3).all()
        assert (np.abs(new - speed) <= 6.0 / HZ + 2e-3).all()
        place, speed = sent[:2].astype(float), new
        driver.state[:2] = sent[:2]
