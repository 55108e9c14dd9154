"""Commands of every wrong kind, observations that must not count, and two that want the same arm."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import numpy as np

from _frame import Check
from vla_data.errors import VlaError
from vla_data.robots.arm_driver import ArmDriver
from vla_data.robots.kernel import RefusedError, SafetyKernel
from vla_data.robots.limits import ACCELERATION, limits_of
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.station import StationConfig
from vla_data.types import Observation


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _kernel() -> tuple[SafetyKernel, ArmDriver, _Clock]:
    clock = _Clock()
    driver = ArmDriver("panda", 50.0, clock)
    kernel = SafetyKernel(driver, limits=limits_of(driver.spec, acceleration=ACCELERATION))
    kernel.connect()
    return kernel, driver, clock


def fuzzed(count: int) -> list[Check]:
    """Good and bad commands in a row; what reached the arm, against its limits."""
    kernel, driver, clock = _kernel()
    sent: list[np.ndarray | None] = [None]
    tell = driver.send
    driver.send = lambda action: (sent.append(np.array(action)), tell(action))[1]  # type: ignore[method-assign]
    rng, key = np.random.default_rng(0), ""
    refused = 0
    for _ in range(count):
        clock.now += 0.02 if rng.random() < 0.8 else float(rng.uniform(0, 0.5))
        seen = kernel.observe(images=False)
        try:
            key = kernel.renew(key).key if key and rng.random() < 0.9 else kernel.acquire("fuzz").key
        except VlaError:
            key = ""
        if rng.random() < 0.02:
            sent.append(None)  # a pause, from which speed counts anew
            clock.now += 2.0
            for _ in range(100):
                kernel.tick()
                clock.now += 0.02
        try:
            kernel.command(key, _wrong(rng), _moment(rng, seen))
        except VlaError:
            refused += 1
        kernel.tick()
    broken = _beyond(sent, driver)
    told = f"{refused} refused, {sum(a is not None for a in sent)} carried out within limits"
    return [Check("fuzzed commands: beyond a limit", broken, f"of {count}", "0", told, broken == 0)]


def _wrong(rng: np.random.Generator) -> object:
    kind = rng.integers(12)
    good = rng.uniform(-3, 3, 7).astype(np.float32)
    kinds: list[Callable[[], object]] = [
        lambda: good,
        lambda: good * 1e6,
        lambda: np.where(rng.random(7) < 0.2, np.nan, good).astype(np.float32),
        lambda: np.where(rng.random(7) < 0.2, np.inf, good).astype(np.float32),
        lambda: good[:6],
        lambda: np.stack([good, good]),
        lambda: "NaN",
        lambda: ["NaN"] * 7,
        lambda: np.array(["1"] * 7),
        lambda: np.full(7, 3.4e38, np.float32),
        lambda: None,
        lambda: good.astype(np.float64),
    ]
    return kinds[kind]()


def _moment(rng: np.random.Generator, seen: Observation) -> object:
    others: list[object] = [
        -1.0,
        float("nan"),
        float("inf"),
        "now",
        None,
        seen.time - 60,
        seen.time + 60,
        True,
    ]
    return seen.time if rng.random() < 0.7 else others[rng.integers(len(others))]


def _beyond(sent: list[np.ndarray | None], driver: ArmDriver) -> int:
    """Commands that are not finite, out of range, too fast or too sudden, of one and the next."""
    spec, limits = driver.spec.action, limits_of(driver.spec, acceleration=ACCELERATION)
    speed = np.array(limits.speed) * 0.02 + 1e-5
    broken, last = 0, None
    for action in sent:
        if action is None:
            last = None
            continue
        wrong = not np.isfinite(action).all() or (action < spec.low).any() or (action > spec.high).any()
        wrong = wrong or (last is not None and bool((np.abs(action - last) > speed).any()))
        broken, last = broken + wrong, action
    return int(broken)


def times_of(count: int) -> list[Check]:
    """Observations that must not count."""
    checks = []
    for name, shift in (("stale", -0.6), ("from the future", 0.05), ("reordered", -0.03)):
        kernel, _, clock = _kernel()
        taken = 0
        for _ in range(count):
            clock.now += 0.02
            seen = kernel.observe(images=False)
            try:
                key = kernel.acquire("me").key
            except RefusedError:
                key = kernel._lease.key if kernel._lease else ""
                key = kernel.renew(key).key
            kernel.command(key, seen.state[:7], seen.time)
            clock.now += 0.02
            kernel.observe(images=False)
            try:
                kernel.command(key, seen.state[:7], clock.now + shift)
                taken += 1
            except RefusedError:
                pass
        checks.append(
            Check(
                f"observations {name}: taken",
                taken,
                f"of {count}",
                "0",
                "as many good ones taken",
                taken == 0,
            )
        )
    return checks


def two_controllers(seconds: float) -> list[Check]:
    """Two that want the arm at the same time: when each had it, and whether ever both."""
    spans: list[tuple[float, float, str]] = []
    with RobotProcess(StationConfig("arm")) as link:
        end = time.monotonic() + seconds

        def want(name: str, seed: int) -> None:
            rng, own = np.random.default_rng(seed), RobotLink(link.address)
            while time.monotonic() < end:
                try:
                    key = own.ask("acquire", owner=name)["key"]
                except RefusedError:
                    time.sleep(rng.uniform(0, 0.004))
                    continue
                began = time.monotonic()
                time.sleep(rng.uniform(0, 0.02))
                own.ask("renew", key=key)  # raises where it was lost meanwhile
                spans.append((began, time.monotonic(), name))
                own.ask("release", key=key)

        threads = [threading.Thread(target=want, args=(n, i)) for i, n in enumerate(("one", "other"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spans.sort()
    both = sum(a[1] > b[0] for a, b in itertools.pairwise(spans))
    shares = " and ".join(str(sum(s[2] == n for s in spans)) for n in ("one", "other"))
    return [Check("two controllers: both at once", both, f"of {len(spans)} turns", "0", shares, both == 0)]
