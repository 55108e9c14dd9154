"""A policy that moves a robot while its next chunk is computed.

The next chunk is asked for while the current one is carried out, and faded in where it takes over
(`vla_data.robots.chunk_queue`): asynchronous inference as of Black et al. 2025 (arXiv:2506.07339, "Real-time
execution of action chunking flow policies"), for any policy, with the seam blended and not inpainted.

A policy that does not answer must not drive: `blind` seconds after a question what waits is forgotten and the
robot brakes. An answer counts that came within `blind` of its observation, or since whose observation
the robot stood still; anything else is from another moment, and is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vla_data.errors import ConfigError
from vla_data.protocols import Policy
from vla_data.robots.chunk_queue import ChunkQueue
from vla_data.robots.motions import Action, State
from vla_data.robots.thinker import Thinker
from vla_data.types import InputSpec, Observation, ObservationWindow, StepResult

OFTEN = 0.02  # seconds: a moving robot's policy is asked at least so often


@dataclass(frozen=True)
class AsyncConfig:
    """How a policy drives while it thinks.

    Args:
        execute: after so many actions of a chunk the next is asked for, or after 0.02 s where that is less.
        blend: how long a new chunk is faded in, seconds; 0 switches at once.
        blind: the longest that a moving robot waits for an answer, seconds, to the nearest control step.
        patience: the longest that a standing robot waits for one, seconds.
    """

    execute: int = 8
    blend: float = 0.2
    blind: float = 0.37
    patience: float = 10.0

    def __post_init__(self) -> None:
        if self.execute < 1 or self.blend < 0 or not 0 < self.blind <= 0.4 or self.patience < self.blind:
            raise ConfigError(
                "a policy cannot drive like this",
                where="AsyncConfig",
                expected="execute from 1, blend from 0, 0 < blind ≤ 0.4, patience at least blind",
                got=f"{self}",
            )


class PolicyMotion:
    """An instruction, carried out by a policy.

    It counts how often a moving robot had nothing to do (`underruns`), was braked since no answer came
    (`late`, each an underrun too), and how many answers came too late to be used (`dropped`).

    Args:
        spec: the policy's inputs.
        open_policy: gives the policy, in the thread that asks it.
        instruction: what to do.
        clock: the robot's, seconds.
        steps: after which it ends.
        seed: of the policy's randomness.
    """

    def __init__(
        self,
        spec: InputSpec,
        open_policy: Callable[[], Policy],
        instruction: str,
        clock: Callable[[], float],
        steps: int,
        config: AsyncConfig | None = None,
        seed: int = 0,
    ) -> None:
        self._spec, self._instruction, self._clock = spec, instruction, clock
        self.config = config or AsyncConfig()
        self._thinker = Thinker(open_policy, clock)
        hz = spec.robot.action.control_hz
        self.queue = ChunkQueue(round(self.config.blend * hz))
        self._every = min(self.config.execute, max(1, round(OFTEN * hz)))
        self._half_step = 0.5 / hz
        self._seen: deque[Observation] = deque(maxlen=spec.history)
        self._done: deque[np.ndarray] = deque(maxlen=max(1, spec.past))
        self._seed: int | None = seed
        self._left = steps
        self._mark = 0  # of the question that counts
        self._asked_at = self._asked_sent = -1.0
        self._contact = -np.inf  # when it last answered
        self._waits_since: float | None = None
        self.late = self.dropped = self.underruns = 0
        self.state: State = "waiting"
        self.said = ""

    @property
    def looks(self) -> bool:
        return bool(self._spec.cameras) and (self._spec.history > 1 or self._asks())

    def next(self, seen: Observation, last: Action | None) -> Action | None:
        """The next action; None while there is none."""
        now = self._clock()
        pictured = set(seen.images) >= {c.name for c in self._spec.cameras}
        if pictured:
            self._seen.append(self._for_policy(seen))
        self._take_answer()
        waited = now - max(self._contact, self._asked_at)
        if len(self.queue) and waited + self._half_step > self.config.blind:
            self._give_up_on_answer()
        if self.state != "failed" and pictured and self._asks():
            self._ask(now)
        action = self.queue.next() if self.state != "failed" else None
        self._keep_waiting(now, action is None)
        return action

    def did(self, action: Action, result: StepResult) -> None:
        """An action was carried out, by whomever: a policy may ask to be told the latest."""
        self._done.append(action)
        self._left -= 1
        if result.success:
            self.state = "succeeded"
        elif result.ended or self._left <= 0:
            self.state, self.said = "ended", "all steps are done"

    def forget(self) -> None:
        """What it planned no longer holds: somebody else moved the robot."""
        self.queue.clear()
        self._mark += 1

    def close(self) -> None:
        self._thinker.close()

    def _asks(self) -> bool:
        """Whether it is time for the next question."""
        if self._thinker.busy:
            return False
        return not len(self.queue) or self.queue.sent - self._asked_sent >= self._every

    def _ask(self, now: float) -> None:
        self._mark += 1
        self._asked_at, self._asked_sent = now, self.queue.sent
        missing = self._spec.history - len(self._seen)
        seen = (*[self._seen[0]] * missing, *self._seen)
        past = np.zeros((self._spec.past, self._spec.robot.action.dim), np.float32)
        known = list(self._done)[-self._spec.past :] if self._spec.past else []
        if known:
            past[-len(known) :] = known
        self._thinker.ask(self._mark, ObservationWindow(seen, past), self._seed)
        self._seed = None

    def _take_answer(self) -> None:
        answer = self._thinker.answer()
        if answer is None:
            return
        if answer.actions is None:
            self.said = answer.error
            self.queue.clear()
            return
        stood = self.queue.sent == self._asked_sent
        if answer.mark != self._mark or (answer.time - self._asked_at > self.config.blind and not stood):
            self.dropped += 1
            return
        self._contact, self.said = answer.time, ""
        self.queue.add(answer.actions, int(self._asked_sent))

    def _give_up_on_answer(self) -> None:
        """Forget what waits, and the question that is being thought about."""
        self.late += 1
        self.queue.clear()
        self._mark += 1

    def _keep_waiting(self, now: float, waits: bool) -> None:
        if not waits:
            self._waits_since, self.state = None, "moving"
            return
        if self.state == "failed":
            return
        self.underruns += self.state == "moving"
        self._waits_since = now if self._waits_since is None else self._waits_since
        self.state = "waiting"
        if now - self._waits_since > self.config.patience:
            why = self.said or "it does not answer"
            self.state, self.said = "failed", f"the policy is lost: {why}"

    def _for_policy(self, seen: Observation) -> Observation:
        names = {c.name for c in self._spec.cameras}
        return replace(
            seen,
            images={n: i for n, i in seen.images.items() if n in names},
            instruction=self._instruction if self._spec.instruction else "",
            privileged=seen.privileged if self._spec.privileged else {},
        )
