"""The one way to a robot's motors.

Invariants, each with a property test:

1. What reaches the driver is finite, of the robot's shape, within its ranges.
2. Of one command and the next, targets, speeds and changes of speed are within `MotionLimits`.
3. After `stop` nothing is sent until `reset_stop`, which nothing else does.
4. One lease at a time, and only its holder's commands are carried out.
5. Nothing is sent for a lease that has run out; the tick after that begins to hold.
6. A command made from an observation that is too old, not yet made, or older than that of the command
   before is refused.
7. What is sent comes at the control rate, so that limits of a step are limits of a second; after a late one
   the next may come up to half a step sooner.
8. A robot that does not answer is held, once, and every command is refused until it is connected again.

The kernel has no thread of its own: whoever runs it calls `tick` at the control rate. It depends on NumPy and
the vocabulary alone.
"""

from __future__ import annotations

import logging
import secrets
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vla_data.errors import ConfigError, VlaError
from vla_data.robots.driver import Driver, RobotError
from vla_data.robots.limits import Limiter, MotionLimits, limits_of
from vla_data.types import Camera, Observation, RobotSpec

log = logging.getLogger(__name__)
CATCH_UP = 1.5  # control steps' worth of commands that a pause saves up
Phase = Literal["disconnected", "idle", "moving", "braking", "stopped", "fault"]


class RefusedError(VlaError):
    """A command was not carried out. `reason` says why, in a word."""

    def __init__(self, message: str, reason: str, **told: str | None) -> None:
        super().__init__(message, **told)
        self.reason = reason


@dataclass(frozen=True)
class KernelConfig:
    """How long things are trusted, in seconds.

    Args:
        lease: the longest that a lease lasts without being renewed.
        silence: without a command for so long, a moving robot is held.
        oldest: the oldest observation that a command may be made from.
        ahead: how far an observation may seem to lie in the future (clocks are read one after the other).
    """

    lease: float = 0.5
    silence: float = 0.25
    oldest: float = 0.5
    ahead: float = 0.002

    def __post_init__(self) -> None:
        if (
            not 0 < self.lease <= 0.5
            or not 0 < self.silence <= self.lease
            or self.oldest <= 0
            or self.ahead < 0
        ):
            raise ConfigError(
                "a kernel cannot trust like this",
                where="KernelConfig",
                expected="0 < silence ≤ lease ≤ 0.5, oldest above 0, ahead at least 0",
                got=f"{self}",
            )


@dataclass(frozen=True)
class Lease:
    """The right to move, for a while."""

    key: str
    owner: str
    until: float


@dataclass(frozen=True)
class KernelState:
    """What the kernel says of itself."""

    phase: Phase
    time: float
    owner: str | None
    stopped_for: str | None
    sent: int
    refused: int


class SafetyKernel:
    """A driver, and what may reach it.

    Args:
        driver: nobody else holds it.
        limits: None for those that the robot's description holds.
    """

    def __init__(
        self, driver: Driver, config: KernelConfig | None = None, limits: MotionLimits | None = None
    ) -> None:
        self._driver, self.config = driver, config or KernelConfig()
        self.limits = limits or limits_of(driver.spec)
        self._limiter = Limiter(driver.spec.action, self.limits)
        self._lock = threading.RLock()
        self._phase: Phase = "disconnected"
        self._lease: Lease | None = None
        self._stopped_for: str | None = None
        self._commanded = self._seen = self._looked = -np.inf
        self._state = np.zeros(len(driver.spec.state), np.float32)
        self._sent = self._refused = 0
        self._turns, self._turns_at = CATCH_UP, -np.inf

    @property
    def spec(self) -> RobotSpec:
        return self._driver.spec

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return self._driver.cameras

    def clock(self) -> float:
        """The robot's time, seconds."""
        return self._driver.clock()

    def connect(self) -> None:
        """Reach the robot and keep it where it is.

        Raises:
            RobotError: it cannot be reached.
        """
        with self._lock:
            self._driver.connect()
            self._remember(self._driver.read(images=False))
            self._driver.hold()
            self._phase = "stopped" if self._stopped_for is not None else "idle"

    def observe(self, *, images: bool = True) -> Observation:
        """What the robot's sensors say now.

        Raises:
            RobotError: it does not answer; it is held, and faulty from now on.
        """
        with self._lock:
            self._require_connected()
            try:
                seen = self._driver.read(images=images)
            except RobotError:
                self._fail()
                raise
            self._remember(seen)
            return seen

    def acquire(self, owner: str, seconds: float | None = None, *, seize: bool = False) -> Lease:
        """The right to move, where nobody has it.

        Args:
            seize: take it from whoever has it: for a person who takes over.

        Raises:
            RefusedError: somebody else has it, or the robot is stopped or faulty.
        """
        with self._lock:
            self._require_able()
            now = self._now()
            if self._lease is not None:
                if not seize:
                    raise self._refusal("somebody else moves the robot", "owned", got=self._lease.owner)
                self._end_lease()  # the robot brakes until the new holder commands
            self._lease = Lease(secrets.token_hex(8), owner, now + self._length(seconds))
            return self._lease

    def renew(self, key: str, seconds: float | None = None) -> Lease:
        """The same right, for longer from now.

        Raises:
            RefusedError: it has run out, or was never given.
        """
        with self._lock:
            held = self._require_lease(key)
            self._lease = Lease(held.key, held.owner, self._now() + self._length(seconds))
            return self._lease

    def release(self, key: str) -> None:
        """Give the right back; the robot brakes. Nothing happens where it has run out."""
        with self._lock:
            self._now()
            if self._lease is not None and self._lease.key == key:
                self._end_lease()

    def command(self, key: str, action: object, observed_at: object) -> Float32[np.ndarray, "action_dim"]:
        """Carry out an action, as far as it is allowed; what was sent.

        Args:
            action: [action_dim] finite numbers; beyond its range is the end of it.
            observed_at: when the observation was made that the action is an answer to.

        Raises:
            RefusedError: it is not carried out, for one of the reasons above.
            RobotError: the robot does not answer.
        """
        with self._lock:
            self._require_able()
            self._require_lease(key)
            wanted = self._require_action(action)
            seen = self._require_fresh(observed_at)
            if not self._turn():
                raise self._refusal("commands come faster than the control rate", "rate")
            if self._phase == "idle":
                self._limiter.begin(self._state)
            sent = self._limiter.limited(wanted, self._state)
            self._send(sent)
            self._phase, self._commanded, self._seen = "moving", self.clock(), seen
            return sent

    def require_lease(self, key: str) -> None:
        """Raise unless this is the lease that counts.

        Raises:
            RefusedError: it is not.
        """
        with self._lock:
            self._require_lease(key)

    def rest(self, key: str) -> None:
        """The lease's holder has nothing to command for now; the robot brakes. Nothing happens where the
        lease has run out, at which it brakes anyway."""
        with self._lock:
            self._now()
            if self._lease is not None and self._lease.key == key and self._phase == "moving":
                self._phase = "braking"

    def tick(self) -> None:
        """To be called at the control rate: ends leases, brakes and holds."""
        with self._lock:
            now = self._now()
            if self._phase == "moving" and now - self._commanded > self.config.silence:
                self._phase = "braking"
            if self._phase != "braking":
                return
            try:
                if self._limiter.still:
                    self._driver.hold()
                    self._phase = "idle"
                elif self._turn():
                    self._send(self._limiter.braked(self._state))
            except RobotError:
                log.exception("the robot does not answer while it brakes")

    def stop(self, reason: str) -> None:
        """Hold at once, and refuse everything until `reset_stop`. It may always be called."""
        with self._lock:
            self._stopped_for, self._lease = reason, None
            if self._phase not in ("disconnected", "fault"):
                self._phase = "stopped"
            self._hold()

    def reset_stop(self) -> None:
        """Take a stop back. Nobody holds a lease afterwards."""
        with self._lock:
            self._stopped_for = None
            if self._phase == "stopped":
                self._phase = "idle"

    def state(self) -> KernelState:
        """Where things stand."""
        with self._lock:
            now = self._now()
            owner = self._lease.owner if self._lease else None
            return KernelState(self._phase, now, owner, self._stopped_for, self._sent, self._refused)

    def close(self) -> None:
        """Hold, and let go of the robot."""
        with self._lock:
            self._hold()
            self._lease, self._phase = None, "disconnected"
            self._driver.close()

    def _now(self) -> float:
        """The time; a lease that has run out ends by being looked at."""
        now = self.clock()
        if self._lease is not None and now >= self._lease.until:
            self._end_lease()
        return now

    def _end_lease(self) -> None:
        self._lease = None
        if self._phase == "moving":
            self._phase = "braking"

    def _length(self, seconds: float | None) -> float:
        if seconds is None:
            return self.config.lease
        if not 0 < seconds <= self.config.lease:
            raise self._refusal(
                "a lease of this length is not given",
                "lease",
                expected=f"above 0, at most {self.config.lease:g} s",
                got=repr(seconds)[:40],
            )
        return float(seconds)

    def _turn(self) -> bool:
        """Whether the control rate lets something be sent now; it then is."""
        now = self.clock()
        saved = (now - self._turns_at) * self.spec.action.control_hz
        self._turns, self._turns_at = min(self._turns + saved, CATCH_UP), now
        if self._turns < 1 - 1e-6:
            return False
        self._turns -= 1
        return True

    def _send(self, action: np.ndarray) -> None:
        assert np.isfinite(action).all()
        try:
            self._driver.send(action)
        except RobotError:
            self._fail()
            raise
        self._sent += 1

    def _remember(self, seen: Observation) -> None:
        self._state, self._looked = seen.state, seen.time

    def _fail(self) -> None:
        self._phase, self._lease = "fault", None
        self._hold()

    def _hold(self) -> None:
        try:
            self._driver.hold()
        except Exception:  # whatever a driver does, the kernel's own state has to stand
            log.exception("the robot could not be told to hold")

    def _require_connected(self) -> None:
        if self._phase == "disconnected":
            raise RobotError("the robot is not connected", next_step="connect() first")

    def _require_able(self) -> None:
        self._require_connected()
        if self._stopped_for is not None:
            raise self._refusal(
                "the robot is stopped", "stopped", got=self._stopped_for, next_step="reset_stop()"
            )
        if self._phase == "fault":
            raise self._refusal("the robot did not answer", "fault", next_step="connect() again")

    def _require_lease(self, key: str) -> Lease:
        self._now()
        if self._lease is None or not secrets.compare_digest(self._lease.key.encode(), str(key).encode()):
            raise self._refusal("this lease is not the one that counts", "lease", next_step="acquire() one")
        return self._lease

    def _require_action(self, action: object) -> np.ndarray:
        dim = self.spec.action.dim
        whole = isinstance(action, np.ndarray) and action.dtype.kind in "iuf" and action.shape == (dim,)
        if not whole or not np.isfinite(action).all():  # type: ignore[call-overload]
            raise self._refusal(
                "a command is not a finite action of the robot", "action", expected=f"{dim} finite numbers"
            )
        assert isinstance(action, np.ndarray)
        return np.clip(action.astype(float), self.spec.action.low, self.spec.action.high).astype(np.float32)

    def _require_fresh(self, observed_at: object) -> float:
        now = self.clock()
        told = float(observed_at) if isinstance(observed_at, (int, float)) else np.nan
        if not now - self.config.oldest <= told <= now + self.config.ahead:
            raise self._refusal(
                "a command is not from an observation of now",
                "stale" if told < now else "future",
                expected=f"observed in [{now - self.config.oldest:.3f}, {now:.3f}]",
                got=repr(observed_at)[:40],
            )
        if self._looked < now - self.config.oldest:
            raise self._refusal("nobody looked where the robot is", "stale", next_step="observe() first")
        if told < self._seen:
            raise self._refusal(
                "a command is from an observation before that of the last",
                "reordered",
                expected=f"observed at {self._seen:.3f} or later",
                got=f"{told:.3f}",
            )
        return told

    def _refusal(self, message: str, reason: str, **told: str | None) -> RefusedError:
        self._refused += 1
        return RefusedError(message, reason, **told)
