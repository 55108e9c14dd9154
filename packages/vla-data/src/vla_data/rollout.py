"""The one loop that runs a policy in an environment, to judge it or to record it.

Notable features:
- slots refill as episodes end; what a trial comes to does not depend on `num_envs` or on its neighbours
- nothing is drawn that nobody looks at: a policy looks once in `execute` steps
- a policy that looks elsewhere (`LookingPolicy`) is shown the same instant again, a few times at most
- simulator state reaches only policies that say they are privileged
- a policy that tells its phases (`PhasedPolicy`) has them recorded, as a series and as sub-steps
- what robot and policy mean by an action is compared before the first step; every chunk is checked
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vla_data.camera_control import CameraControl, LookingPolicy, RovingEnv
from vla_data.errors import ConfigError
from vla_data.objects import LabelledEnv
from vla_data.phases import Phase, PhasedPolicy
from vla_data.protocols import Policy, SimEnv
from vla_data.recording import Recorder
from vla_data.rollout_checks import (
    BadActionError,
    checked_chunks,
    require_labels,
    require_match,
    require_roving,
)
from vla_data.types import Episode, InputSpec, Observation, ObservationWindow, StepResult, Trial

NOISE_STREAM = 1
POLICY_STREAM = 2
MOST_LOOKS = 3  # before the policy has to act


@dataclass(frozen=True)
class RolloutConfig:
    """How a policy is run.

    Args:
        execute: actions of a chunk carried out before the policy looks again (a shorter chunk: all of it).
        max_steps: a trial ends after so many steps; None stands for the environment's own horizon.
        noise: standard deviation of Gaussian noise on the executed action, in the action's own numbers;
            the clean action is what is recorded.
        steps_after_success: steps carried out after the first success.
        record: give each trial's `Episode`.
        depth, segmentation: what an episode records beside colour.
        labels: record depth and the truth about the objects (`vla_data.objects`), where the environment
            knows it; masks then take the place of the simulator's own numbers in `segmentation`.
    """

    execute: int = 8
    max_steps: int | None = None
    noise: float = 0.0
    steps_after_success: int = 0
    record: bool = False
    depth: bool = False
    segmentation: bool = False
    labels: bool = False

    def __post_init__(self) -> None:
        if self.execute < 1 or self.noise < 0 or self.steps_after_success < 0:
            raise ConfigError(
                "a roll-out cannot run like this",
                where="RolloutConfig",
                expected="execute of at least 1, noise and steps_after_success of at least 0",
                got=f"execute {self.execute}, noise {self.noise}, "
                f"steps_after_success {self.steps_after_success}",
            )


@dataclass(frozen=True, eq=False)
class Rollout:
    """What a trial came to.

    Args:
        trial, index: the trial and its place among those given.
        success: whether the task's success was reported at any step.
        steps: steps carried out.
        success_step: the first step that reported success; None without one.
        reward: sum over the steps.
        episode: what was seen and done, when recorded.
        inference_seconds, inferences: wall time in the policy (shared alike by the windows of a batch) and
            the number of chunks it gave.
        controls: of cameras, each with the number of steps carried out before it.
    """

    trial: Trial
    index: int
    success: bool
    steps: int
    success_step: int | None
    reward: float
    episode: Episode | None
    inference_seconds: float
    inferences: int
    controls: tuple[tuple[int, CameraControl], ...] = ()


@dataclass(eq=False)
class _Run:
    """A trial under way in a slot."""

    trial: Trial
    index: int
    limit: int
    noise: np.random.Generator
    seen: deque[Observation]
    done: deque[np.ndarray]
    queue: deque[np.ndarray] = field(default_factory=deque)
    recorder: Recorder | None = None
    phase: Phase | None = None
    steps: int = 0
    success_step: int | None = None
    reward: float = 0.0
    inference_seconds: float = 0.0
    inferences: int = 0
    controls: list[tuple[int, CameraControl]] = field(default_factory=list)


def rollout(
    env: SimEnv, policy: Policy, trials: Sequence[Trial], config: RolloutConfig | None = None
) -> Iterator[Rollout]:
    """Run every trial once; each result as its episode ends (`Rollout.index` tells which).

    Raises:
        ConfigError: labels are asked for and the environment has none to give, or the policy looks around
            and the environment's cameras cannot be moved, or depth or masks are to be recorded as well.
        SpecMismatchError: environment and policy disagree on actions, states or cameras.
        BadActionError: the policy answered with a wrong shape or a number that is not finite.
    """
    require_match(env.robot, env.cameras, policy.input_spec)
    config = config or RolloutConfig()
    if config.labels:
        require_labels(env)
    require_roving(env, policy, only_colour=not (config.depth or config.segmentation or config.labels))
    return _Loop(env, policy, config).run(list(trials))


class _Loop:
    def __init__(self, env: SimEnv, policy: Policy, config: RolloutConfig) -> None:
        self.env, self.policy, self.config = env, policy, config
        self.spec: InputSpec = policy.input_spec
        self.runs: dict[int, _Run] = {}
        names = {camera.name for camera in self.spec.cameras}
        self.wanted = names
        self.depth_wanted = {camera.name for camera in self.spec.cameras if camera.depth}
        self.labels = config.record and config.labels
        self.depth = config.record and (config.depth or config.labels)
        self.segmentation = config.record and config.segmentation and not config.labels

    def run(self, trials: list[Trial]) -> Iterator[Rollout]:
        """The loop: refill, look, think, act."""
        waiting = deque(enumerate(trials))
        while waiting or self.runs:
            self._refill(waiting)
            self._look()
            self._think()
            yield from self._act()

    def _refill(self, waiting: deque[tuple[int, Trial]]) -> None:
        free = [slot for slot in range(self.env.num_envs) if slot not in self.runs][: len(waiting)]
        started = [(slot, *waiting.popleft()) for slot in free]
        if not started:
            return
        trials = [trial for _, _, trial in started]
        self.env.reset(free, trials)
        self.policy.reset(free, [_stream(trial.seed, POLICY_STREAM) for trial in trials])
        for slot, index, trial in started:
            self.runs[slot] = self._begin(trial, index)

    def _begin(self, trial: Trial, index: int) -> _Run:
        return _Run(
            trial,
            index,
            limit=self.config.max_steps or self.env.max_steps(trial.task),
            noise=np.random.default_rng([trial.seed, NOISE_STREAM]),
            seen=deque(maxlen=self.spec.history),
            done=deque(maxlen=max(1, self.spec.past)),
            recorder=Recorder(trial, self.env.robot, self.env.cameras) if self.config.record else None,
        )

    def _look(self) -> None:
        """Observe the slots whose policy looks now or will need this instant as history."""
        record = self.config.record
        slots = [s for s, run in self.runs.items() if record or len(run.queue) < self.spec.history]
        if not slots:
            return
        observations = self.env.observe(
            slots,
            images=record or bool(self.wanted),
            depth=self.depth or bool(self.depth_wanted),
            segmentation=self.segmentation or self.labels,
            privileged=self.spec.privileged,
        )
        for slot, observation in zip(slots, observations, strict=True):
            run = self.runs[slot]
            if run.recorder is not None:
                run.recorder.see(observation, self.depth, self.segmentation)
            run.seen.append(self._for_policy(observation))
        if self.labels:
            self._label(slots, observations)

    def _label(self, slots: list[int], observations: list[Observation]) -> None:
        """Record the truth about what was just seen."""
        assert isinstance(self.env, LabelledEnv)
        for slot, truth in zip(slots, self.env.label(slots, observations), strict=True):
            recorder = self.runs[slot].recorder
            assert recorder is not None
            recorder.label(truth, self.env.object_names(slot))

    def _for_policy(self, observation: Observation) -> Observation:
        """What the policy asked for and nothing else."""
        return replace(
            observation,
            images={n: i for n, i in observation.images.items() if n in self.wanted},
            depth={n: d for n, d in observation.depth.items() if n in self.depth_wanted},
            segmentation={},
            instruction=observation.instruction if self.spec.instruction else "",
            privileged=observation.privileged if self.spec.privileged else {},
        )

    def _think(self) -> None:
        """Ask the policy for chunks where the last one is used up."""
        slots = [slot for slot, run in self.runs.items() if not run.queue]
        if not slots:
            return
        start = time.perf_counter()
        self._look_around(slots)
        chunks = self.policy.infer([self._window(slot) for slot in slots])
        share = (time.perf_counter() - start) / len(slots)
        trials = [self.runs[slot].trial for slot in slots]
        checked = checked_chunks(type(self.policy).__name__, chunks, self.spec, trials)
        spec = self.env.robot.action
        for slot, actions in zip(slots, checked, strict=True):
            run = self.runs[slot]
            run.queue.extend(np.clip(actions[: self.config.execute], spec.low, spec.high))
            run.inference_seconds += share
            run.inferences += 1
        if self.config.record and isinstance(self.policy, PhasedPolicy):
            for slot, phase in zip(slots, self.policy.phases(slots), strict=True):
                self.runs[slot].phase = phase

    def _look_around(self, slots: list[int]) -> None:
        """Let the policy move cameras; no time passes for the robot."""
        if not isinstance(self.policy, LookingPolicy):
            return
        assert isinstance(self.env, RovingEnv)
        for _ in range(MOST_LOOKS):
            asked = self.policy.look([self._window(slot) for slot in slots])
            moves = {s: control for s, control in zip(slots, asked, strict=True) if control is not None}
            if not moves:
                return
            slots = list(moves)
            self.env.control_cameras(slots, list(moves.values()))
            for slot, observation in zip(slots, self._seen_again(slots), strict=True):
                run = self.runs[slot]
                run.seen[-1] = self._for_policy(observation)
                run.controls.append((run.steps, moves[slot]))
                if run.recorder is not None:
                    run.recorder.see_again(observation)

    def _seen_again(self, slots: list[int]) -> list[Observation]:
        return self.env.observe(slots, depth=bool(self.depth_wanted))

    def _window(self, slot: int) -> ObservationWindow:
        """The last K observations; before the episode's start the first one repeats, with actions of 0."""
        run, past = self.runs[slot], self.spec.past
        missing = self.spec.history - len(run.seen)
        observations = (*[run.seen[0]] * missing, *run.seen)
        actions = np.zeros((past, self.env.robot.action.dim), np.float32)
        known = list(run.done)[-past:] if past else []
        if known:
            actions[-len(known) :] = known
        return ObservationWindow(observations, actions, slot)

    def _act(self) -> list[Rollout]:
        slots = list(self.runs)
        clean = [self.runs[slot].queue.popleft() for slot in slots]
        executed = [self._noisy(self.runs[s], action) for s, action in zip(slots, clean, strict=True)]
        results = self.env.step(slots, np.stack(executed))
        ended = []
        for slot, action, result in zip(slots, clean, results, strict=True):
            run = self.runs[slot]
            if self._record(run, action, result):
                ended.append(_result(run))
                del self.runs[slot]
        return ended

    def _noisy(self, run: _Run, action: np.ndarray) -> np.ndarray:
        if self.config.noise == 0:
            return action
        spec = self.env.robot.action
        noise = run.noise.normal(0.0, self.config.noise, action.shape)
        return np.clip(action + noise, spec.low, spec.high).astype(np.float32)

    def _record(self, run: _Run, action: np.ndarray, result: StepResult) -> bool:
        """Note what a step did; whether it was the trial's last."""
        run.done.append(action)
        if run.recorder is not None:
            run.recorder.did(action, result, run.phase)
        if result.success and run.success_step is None:
            run.success_step = run.steps
        run.steps += 1
        run.reward += result.reward
        succeeded = run.success_step
        enough = succeeded is not None and run.steps > succeeded + self.config.steps_after_success
        return enough or result.ended or run.steps >= run.limit


def _result(run: _Run) -> Rollout:
    success = run.success_step is not None
    return Rollout(
        run.trial,
        run.index,
        success,
        run.steps,
        run.success_step,
        run.reward,
        run.recorder.episode(success) if run.recorder is not None else None,
        run.inference_seconds,
        run.inferences,
        tuple(run.controls),
    )


def _stream(seed: int, stream: int) -> int:
    """A seed for one use of a trial's seed, unlike those of its other uses."""
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)


__all__ = ["BadActionError", "Rollout", "RolloutConfig", "rollout"]
