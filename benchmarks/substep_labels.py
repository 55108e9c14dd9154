"""Sub-steps found in the motion alone, beside equal lengths and gripper events, against the experts' phases.

Episodes are demonstrations of scripted experts, whose phases (which branch chose the action) are the truth.
The labeller's thresholds are those of its default configuration; they were chosen on `TUNING` alone, by the
grid below, for the mean of three views of those episodes: commands as recorded, commands with noise on them,
and displacements as measured, which is what a teleoperated data set has for actions. The same grid runs here,
so that the choice can be seen to hold. All tasks that are measured are others.

F1@50 is segmental F1 at an overlap of 0.5 (Lea et al. 2017, arXiv:1611.05267), blind to what the texts say: a
mean over a task's episodes, then over tasks.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from _frame import Check, run
from vla_data import open_episodes
from vla_data.label.kinematic import KinematicConfig
from vla_data.label.labellers import CutLabeller, LabelConfig, SubstepLabeller, make_labeller
from vla_data.label.learned import fit
from vla_data.label.scores import mean_f1
from vla_data.types import ActionDim, Episode

GOAL, NOISE = 0.7, 0.1
TUNING = (
    "coffee-pull", "door-open", "drawer-open", "faucet-open", "hand-insert", "peg-insert-side", "push",
    "window-close",
)  # fmt: skip
SMOKE_TUNING, SMOKE_TEST = ("drawer-open", "push"), ("basketball", "window-open", "button-press-topdown")
EPISODES, SMOKE_EPISODES = 4, 2
GRID = {
    "window": (1, 2, 3, 4),
    "change": (0.2, 0.3, 0.4, 0.5),
    "gripper": (0.1, 0.2),
    "dip": (0.0, 0.3),
    "min_steps": (3, 5),
}
SMOKE_GRID = {"window": (1, 3), "change": (0.3,)}
NEAR_BEST = 0.98

Tasks = dict[str, list[Episode]]
View = Callable[[Episode], Episode]


def main(smoke: bool) -> list[Check]:
    """Generate, look whether the thresholds are the tuning tasks' own, measure on the other tasks."""
    from vla_data.sim import task_names

    tuning = SMOKE_TUNING if smoke else TUNING
    test = SMOKE_TEST if smoke else tuple(t for t in task_names("metaworld") if t not in TUNING)
    episodes = _generate((*tuning, *test), SMOKE_EPISODES if smoke else EPISODES)
    tuned, measured = ({t: episodes[t] for t in names} for names in (tuning, test))
    return [*_tuning(tuned, SMOKE_GRID if smoke else GRID), *_measured(tuned, measured)]


def _generate(tasks: Sequence[str], count: int) -> Tasks:
    from vla_data.sim.generate import GenerateConfig, generate

    config = GenerateConfig(tasks=tuple(tasks), episodes=count, episodes_per_shard=count, cameras=())
    with tempfile.TemporaryDirectory() as root:
        reader = open_episodes(generate(config, Path(root))["directory"])
        found: Tasks = defaultdict(list)
        for i in range(len(reader)):
            episode = reader[i]
            found[str(episode.metadata["task"])].append(episode)
    return found


def _tuning(tasks: Tasks, grid: dict[str, tuple]) -> list[Check]:
    """The default thresholds beside the best of the grid, on the tuning tasks."""
    shown = {
        name: {task: [view(e) for e in episodes] for task, episodes in tasks.items()}
        for name, view in VIEWS.items()
    }
    score = partial(_mean_over_views, shown)
    options = [
        KinematicConfig(**dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
    ]
    best = max(options, key=score)
    ours, most = score(KinematicConfig()), score(best)
    chosen = f"best of {len(options)}: {most:.3f} with " + ", ".join(f"{k} {getattr(best, k)}" for k in grid)
    name = f"default thresholds on {len(tasks)} tuning tasks, mean of {len(VIEWS)} views"
    return [Check(name, ours, "F1@50", f">= {NEAR_BEST} of the best", chosen, ours >= NEAR_BEST * most)]


def _mean_over_views(shown: dict[str, Tasks], config: KinematicConfig) -> float:
    labeller = make_labeller(LabelConfig(kinematic=config))
    return float(np.mean([_f1(labeller, tasks) for tasks in shown.values()]))


def _measured(tuned: Tasks, test: Tasks) -> list[Check]:
    counts = [len(e.substeps) for episodes in tuned.values() for e in episodes]
    equal = make_labeller(LabelConfig("equal", segments=round(float(np.mean(counts)))))
    gripper, ours = make_labeller(LabelConfig("gripper")), make_labeller(LabelConfig())
    scores = {
        task: [_f1(who, {task: episodes}) for who in (ours, equal, gripper)]
        for task, episodes in test.items()
    }
    mean, lengths, grips = np.mean(list(scores.values()), axis=0)
    peers = f"equal lengths {lengths:.3f}, gripper events {grips:.3f}"
    learned = CutLabeller(fit([e for episodes in tuned.values() for e in episodes]).cuts)
    better = max(lengths, grips)
    return [
        Check(f"kinematic on {len(test)} other tasks", mean, "F1@50", f">= {GOAL}", peers, mean >= GOAL),
        Check("over the better peer", mean - better, "F1@50", "> 0", peers, mean > better),
        _told("learned on the tuning tasks", _f1(learned, test), lengths, grips),
        *(
            _told(f"kinematic, {name}", *(_seen(who, test, view) for who in (ours, equal, gripper)))
            for name, view in VIEWS.items()
            if name != COMMANDS
        ),
        *(_told(f"  {task}", *figures) for task, figures in scores.items()),
    ]


def _told(name: str, ours: float, lengths: float, grips: float) -> Check:
    """A figure without a goal of its own."""
    return Check(name, ours, "F1@50", "", f"equal lengths {lengths:.3f}, gripper events {grips:.3f}", True)


def _f1(labeller: SubstepLabeller, tasks: Tasks) -> float:
    """The mean over a task's episodes, then over tasks."""
    means = [mean_f1([(labeller.label(e), e.substeps) for e in episodes]) for episodes in tasks.values()]
    return float(np.mean(means))


def _seen(labeller: SubstepLabeller, tasks: Tasks, view: View) -> float:
    return _f1(labeller, {task: [view(e) for e in episodes] for task, episodes in tasks.items()})


def _noisy(episode: Episode) -> Episode:
    """Commands with noise on every number, as they are carried out while generating."""
    seed = int(episode.metadata["seed"])
    noise = np.random.default_rng(seed).normal(0, NOISE, episode.action.shape)
    return replace(episode, action=np.clip(episode.action + noise, -1, 1).astype(np.float32))


def _displaced(episode: Episode) -> Episode:
    """Nothing of the commands: where the hand went from step to step, and how far the gripper stood open."""
    spec = episode.robot.action
    went = np.diff(episode.state[:, :3], axis=0, append=episode.state[-1:, :3]) / spec.dims[0].scale
    opening = ActionDim("opening", "gripper", "absolute", "none", low=0.0, high=1.0)
    changed = replace(spec, dims=(*spec.dims[:3], opening), gripper_closes=-1)
    action = np.concatenate([went, episode.state[:, 3:]], axis=1).astype(np.float32)
    return replace(episode, action=action, robot=replace(episode.robot, action=changed))


COMMANDS = "commands as recorded"
VIEWS: dict[str, View] = {
    COMMANDS: lambda episode: episode,
    f"commands with noise of {NOISE}": _noisy,
    "displacements as measured": _displaced,
}


if __name__ == "__main__":
    run(main, Path(sys.argv[0]).stem)
