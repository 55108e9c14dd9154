"""Does the model ask for the view that shows what its task is about, and act on it?

A camera that roves looks at the left or the right half of Meta-World's table; a trial begins at one of them
by chance. The VLA policy is trained on demonstrations seen by both (`vla data generate metaworld --preset
views`), whose labels tell which half shows the target. On held-out placements: of the trials that begin
without the target in view, how often the first thing asked for is the view that has it; of those that begin
with it, how often the policy stays; and success, beside the same policy held at its first view, the expert
and random actions.

`--out DIR` keeps every stage; an interrupted call goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _frame import Check, run_in
from _weights import CACHE
from policies import tell, train
from vla_data.protocols import Policy, Progress
from vla_data.report import Section
from vla_data.rollout import Rollout, RolloutConfig, rollout
from vla_data.runs import Stage, run_stage
from vla_data.sim import CameraView, RandomPolicy, SimConfig, instructions, make_env, make_expert
from vla_data.sim.generate import PRESETS as GENERATE
from vla_data.sim.generate import GenerateConfig, generate
from vla_data.sim.metaworld import MetaWorldEnv
from vla_data.sim.placements import placement_seed
from vla_data.types import Trial
from vla_model import load_policy
from vla_model.finetuning import PRESETS as POLICIES
from vla_model.finetuning import ROVING
from vla_model.policies.learned import LearnedPolicy
from vla_model.policies.vla import VlaConfig
from vla_model.statistics import wilson_interval
from vla_model.views import SEEN

PLACES = ("table-left", "table-right")
GOAL = 0.8
EPISODES, STEPS, TRIALS = 50, 2500, 60  # a task; of training; a task
EXECUTE = 8


@dataclass(frozen=True)
class Begin:
    """Where a trial begins to look, and how many pixels of the target each place shows then."""

    place: int
    pixels: tuple[int, ...]

    @property
    def outside(self) -> bool:
        """Whether the target is in the other view alone."""
        return self.pixels[self.place] < SEEN <= max(self.pixels)


def main(smoke: bool, directory: Path) -> list[Check]:
    """Make what is not there yet, then look and drive."""
    data, policy = directory / "data", directory / "policy"
    made = replace(GENERATE["views"](), episodes=1 if smoke else EPISODES)
    base = POLICIES["debug" if smoke else "default"]()
    steps = base.fit.steps if smoke else STEPS
    network = VlaConfig(head="continuous", looks=PLACES)
    learn = replace(base, policy=network, execute=EXECUTE, fit=replace(base.fit, steps=steps))
    run_stage(Stage("generate", data, made, (), partial(_generate, made, data)))
    run_stage(Stage("policy", policy, learn, (data,), partial(train, learn, data, None, policy)))
    torch.set_num_threads(1)
    trials = _trials(made.tasks, 2 if smoke else TRIALS)
    begins = _begins(made.tasks, trials)
    roving = load_policy(policy / "checkpoint")
    assert isinstance(roving, LearnedPolicy)
    held = LearnedPolicy(**{f.name: getattr(roving, f.name) for f in fields(LearnedPolicy)})
    arms: dict[str, Policy | str] = {"asks": roving, "held at its first view": held}
    arms |= {"scripted expert": "expert", "random": "random"}
    found = {name: _drive(name, arm, made.tasks, trials) for name, arm in arms.items()}
    outside = [i for i, b in enumerate(begins) if b.outside]
    return [
        _asked(found["asks"], begins, smoke),
        _stayed(found["asks"], begins),
        *(_success(name, results, outside) for name, results in found.items()),
    ]


def _generate(config: GenerateConfig, out: Path) -> tuple[dict[str, Any], list[Section]]:
    return generate(config, out, on_progress=tell), []


def _trials(tasks: Sequence[str], count: int) -> list[Trial]:
    seeds = [placement_seed("eval", i) for i in range(count)]
    return [
        Trial(task, seed, instructions("metaworld", task, "train")[0]) for task in tasks for seed in seeds
    ]


def _begins(tasks: Sequence[str], trials: Sequence[Trial]) -> list[Begin]:
    """What the labels say of the first instant."""
    env = MetaWorldEnv(tasks, SimConfig(cameras=tuple(CameraView(n, n) for n in (*PLACES, ROVING))))
    begins = []
    for trial in trials:
        env.reset([0], [trial])
        observation = env.observe([0], images=False, segmentation=True)[0]
        masks = env.label([0], [observation])[0].masks
        things = [i + 1 for i, n in enumerate(env.object_names(0)) if n.kind != "gripper"]
        pixels = tuple(int(np.isin(masks[p], things).sum()) for p in PLACES)
        begins.append(Begin(PLACES.index(observation.places[ROVING]), pixels))
    env.close()
    return begins


def _drive(name: str, arm: Policy | str, tasks: Sequence[str], trials: Sequence[Trial]) -> list[Rollout]:
    cameras = () if isinstance(arm, str) else tuple(
        CameraView(c.name, c.name, c.height, c.width) for c in arm.input_spec.cameras
    )  # fmt: skip
    env = make_env("metaworld", tasks, SimConfig(cameras=cameras))
    if isinstance(arm, str):
        arm = make_expert(env) if arm == "expert" else RandomPolicy(env.robot)
    results = []
    for result in rollout(env, arm, trials, RolloutConfig(execute=EXECUTE)):
        results.append(result)
        tell(Progress(name, len(results), len(trials), "trials"))
    env.close()
    return sorted(results, key=lambda r: r.index)


def _asked(results: Sequence[Rollout], begins: Sequence[Begin], smoke: bool) -> Check:
    """Of trials that begin without the target in view."""
    pairs = [(r, b) for r, b in zip(results, begins, strict=True) if b.outside]
    right = sum(_first(r) == PLACES[int(np.argmax(b.pixels))] for r, b in pairs)
    low, high = wilson_interval(right, len(pairs))
    share = right / len(pairs) if pairs else 0.0
    told = f"{right}/{len(pairs)}, 95% {low:.2f} … {high:.2f}; by chance 0.33 (stay, left, right)"
    return Check("asks for the view with the target", share, "", f">= {GOAL:g}", told, smoke or share >= GOAL)


def _stayed(results: Sequence[Rollout], begins: Sequence[Begin]) -> Check:
    """Of trials that begin with the target in view."""
    kept = [_first(r) is None for r, b in zip(results, begins, strict=True) if b.pixels[b.place] >= SEEN]
    told = f"{sum(kept)}/{len(kept)}"
    return Check("stays where the target is in view", float(np.mean(kept)), "", "shown", told, True)


def _first(result: Rollout) -> str | None:
    """The view that was asked for first, if one was before the first action."""
    return next((control.camera for step, control in result.controls if step == 0), None)


def _success(name: str, results: Sequence[Rollout], outside: Sequence[int]) -> Check:
    done = [r.success for r in results]
    low, high = wilson_interval(sum(done), len(done))
    hard = [done[i] for i in outside]
    tasks = sorted({r.trial.task for r in results})
    by_task = ", ".join(f"{t} {sum(r.success for r in results if r.trial.task == t)}" for t in tasks)
    told = (
        f"{sum(done)}/{len(done)}, 95% {100 * low:.0f} … {100 * high:.0f}%; of those that begin without the "
        f"target in view {sum(hard)}/{len(hard)}; {by_task}"
    )
    return Check(f"success: {name}", 100 * float(np.mean(done)), "%", "shown", told, True)


if __name__ == "__main__":
    run_in(main, "camera_control", CACHE / "camera_control")
