"""Episodes an hour: our evaluation beside the plain loop that most code bases evaluate with.

Plain: one environment, the simulator's own rendering, both cameras drawn at every step. Ours draws only
when the policy looks (once in eight steps), uses both cores, and may draw fast. Policy, task, placements
and pixels that are said to be the same are the same: every picture that the policy is shown is digested and
compared, and so is what came of each trial. LIBERO where its assets are at hand (the scene that costs
most), else Meta-World. Every way is timed on its own after its environments are built, a trial of each for
warming up.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from _frame import Check, run
from vla_data.errors import MissingDependencyError
from vla_data.pool import map_units
from vla_data.protocols import Policy
from vla_data.rollout import RolloutConfig, rollout
from vla_data.sim import CameraView, SimConfig, instructions, make_env
from vla_data.sim.config import RenderMode
from vla_data.sim.libero_names import assets_folder
from vla_data.sim.placements import placement_seed
from vla_data.types import ActionChunk, CameraInput, InputSpec, ObservationWindow, RobotSpec, Trial

LIBERO = (
    "libero",
    "libero_object/pick_up_the_milk_and_place_it_in_the_basket",
    ("agentview", "robot0_eye_in_hand"),
)
METAWORLD = ("metaworld", "drawer-open", ("corner4", "gripperPOV"))
SIZE, EXECUTE, HORIZON = 128, 8, 16
TRIALS, STEPS = 4, 280
SAME, FAST = 3.0, 8.0


@dataclass(frozen=True)
class Way:
    """How trials are run."""

    name: str
    every_step: bool
    render: RenderMode
    workers: int


WAYS = (
    Way("plain loop", True, "reference", 1),
    Way("drawn when the policy looks", False, "reference", 1),
    Way("and two workers", False, "reference", 2),
    Way("and drawn fast", False, "fast", 2),
)


class Still:
    """Moves a little, whatever it sees, and digests that; the loop is what is timed, not the thinking."""

    def __init__(self, robot: RobotSpec, cameras: tuple[CameraInput, ...]) -> None:
        self.input_spec = InputSpec(robot, cameras, HORIZON)
        self.digest = hashlib.sha256()

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        self._rng = np.random.default_rng(0)

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        chunks = []
        for window in windows:
            for name in sorted(window.latest.images):
                self.digest.update(window.latest.images[name].tobytes())
            actions = self._rng.normal(scale=0.3, size=(HORIZON, self.input_spec.robot.action.dim))
            chunks.append(ActionChunk(actions.astype(np.float32), self.input_spec.robot.action))
        return chunks


@dataclass(frozen=True)
class Unit:
    """Trials of one worker."""

    way: Way
    sim: str
    task: str
    cameras: tuple[str, ...]
    trials: tuple[int, ...]
    steps: int


def main(smoke: bool) -> list[Check]:
    """The ladder, each rung beside the plain loop."""
    sim, task, cameras = _scene()
    trials, steps = (2, 10) if smoke else (TRIALS, STEPS)
    rates, told = {}, {}
    for way in WAYS:
        seconds, found = _timed(way, sim, task, cameras, trials, steps)
        rates[way.name], told[way.name] = 3600 * trials / seconds, found
        print(f"{way.name}: {rates[way.name]:.0f} episodes an hour", file=sys.stderr)
    plain = rates[WAYS[0].name]
    checks = []
    for way in WAYS[1:]:
        goal = {"and two workers": SAME, "and drawn fast": FAST}.get(way.name, 0.0)
        ratio = rates[way.name] / plain
        peer = f"plain loop {plain:.0f} episodes an hour, this {rates[way.name]:.0f}; {sim}, {steps} steps"
        wanted = f">= {goal:g}" if goal else "shown"
        checks.append(Check(f"{way.name}: times as many", ratio, "×", wanted, peer, smoke or ratio >= goal))
    same = sum(told[w.name] == told[WAYS[0].name] for w in WAYS if w.render == "reference")
    checks.append(
        Check("ways with the same pixels and outcomes", same, "", "= 3", "of 3 that claim it", same == 3)
    )
    return checks


def _scene() -> tuple[str, str, tuple[str, ...]]:
    try:
        assets_folder()
    except MissingDependencyError:
        return METAWORLD
    return LIBERO


def _timed(
    way: Way, sim: str, task: str, cameras: tuple[str, ...], trials: int, steps: int
) -> tuple[float, dict[int, tuple]]:
    """Seconds that all trials took the slowest worker, and what came of each."""
    shares = [tuple(range(w, trials, way.workers)) for w in range(way.workers)]
    units = [Unit(way, sim, task, cameras, share, steps) for share in shares]
    found, slowest = {}, 0.0
    for _, (seconds, results) in map_units(_work, units, way.workers):
        slowest = max(slowest, seconds)
        found |= results
    return slowest, found


def _work(unit: Unit) -> tuple[float, dict[int, tuple]]:
    views = tuple(CameraView(name, name, SIZE, SIZE) for name in unit.cameras)
    env = make_env(unit.sim, [unit.task], SimConfig(views, unit.way.render))
    cameras = tuple(CameraInput(name, SIZE, SIZE) for name in unit.cameras)
    said = instructions(unit.sim, unit.task, "train")[0]
    one: Callable = _plainly if unit.way.every_step else _ours
    one(env, Still(env.robot, cameras), Trial(unit.task, placement_seed("validation", 0), said), 2)
    found = {}
    began = time.perf_counter()
    for index in unit.trials:
        policy = Still(env.robot, cameras)
        trial = Trial(unit.task, placement_seed("eval", index), said)
        steps, success = one(env, policy, trial, unit.steps)
        found[index] = (steps, success, policy.digest.hexdigest())
    seconds = time.perf_counter() - began
    env.close()
    return seconds, found


def _ours(env, policy: Policy, trial: Trial, steps: int) -> tuple[int, bool]:
    (done,) = rollout(env, policy, [trial], RolloutConfig(execute=EXECUTE, max_steps=steps))
    return done.steps, done.success


def _plainly(env, policy: Policy, trial: Trial, steps: int) -> tuple[int, bool]:
    """As an evaluation script has it: draw, maybe think, step."""
    env.reset([0], [trial])
    policy.reset([0], [0])
    queue: list[np.ndarray] = []
    spec = env.robot.action
    for step in range(steps):
        (seen,) = env.observe([0])
        if not queue:
            past = np.zeros((0, spec.dim), np.float32)
            (chunk,) = policy.infer([ObservationWindow((seen,), past)])
            queue = list(np.clip(chunk.actions[:EXECUTE], spec.low, spec.high))
        (result,) = env.step([0], queue.pop(0)[None])
        if result.success or result.ended:
            return step + 1, result.success
    return steps, False


if __name__ == "__main__":
    run(main, "eval_throughput")
