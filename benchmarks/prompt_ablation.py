"""What each part of the prompt is worth: the VLA policy with all of it, and with one part left out at a time.

On the five tasks of the quick start: robot, cameras, checklist of sub-tasks, state, past actions, and beside
colours the depth and what moved (optical flow). Same
demonstrations, steps, seed and unseen placements for all; differences are in pairs (Newcombe's interval).
Wordings kept out of training are tried too. The compact policy, which reads words alone, stands beside them.

`--out DIR` keeps every stage; an interrupted call goes on. It may be the directory of `policies` or of a
finished `vla quickstart`, whose data, codec and compact policy are taken over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from _frame import Check, run
from policies import COMPACT, slug, tell, train
from vla_cli.quickstart import PRESETS, QuickstartConfig, demonstrate, stages
from vla_data.runs import Stage, run_stage
from vla_model.eval_config import Arm
from vla_model.evaluate import EvalResult, evaluate
from vla_model.finetuning import PRESETS as POLICIES
from vla_model.policies.vla import VlaConfig
from vla_model.prompt.episodes import PromptParts
from vla_model.statistics import Pairs, newcombe_interval

WHOLE = "all of it"
ALL = PromptParts(past_steps=8, depth=True, velocity=True)
ARMS = {
    WHOLE: ALL,
    "without robot": replace(ALL, robot=False),
    "without cameras": replace(ALL, cameras=False),
    "without checklist": replace(ALL, checklist=False),
    "without state": replace(ALL, state=False),
    "without past actions": replace(ALL, past_steps=0),
    "without depth": replace(ALL, depth=False),
    "without velocity": replace(ALL, velocity=False),
}
STEPS = 2500
PLACEMENTS = 50  # a task


def main(smoke: bool, out: Path | None = None) -> list[Check]:
    """Train what is not trained yet, try all, compare each with the whole."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            return main(smoke, Path(scratch))
    config = PRESETS["smoke" if smoke else "default"]()
    for stage in _stages(config, out, smoke):
        run_stage(stage)
    protocol = replace(
        config.evaluation,
        tasks=config.tasks,
        execute=config.policy.execute,
        trials=2 if smoke else PLACEMENTS,
        videos=False,
        checklists=True,
    )
    paths = {name: out / slug(f"prompt {name}") for name in ARMS} | {COMPACT: out / "policy"}
    arms = [Arm(name, str(path / "checkpoint")) for name, path in paths.items()]
    arms += [Arm(f"{name}, unseen wording", a.policy, "unseen") for name, a in zip(paths, arms, strict=True)]
    tried = evaluate(arms, protocol, out / "prompts", on_progress=tell)
    return [_row(tried, name) for name in paths]


def _stages(config: QuickstartConfig, out: Path, smoke: bool) -> list[Stage]:
    """The quick start's stages up to its policy, its demonstrations with depth, and a policy for each arm."""
    needed = [s for s in stages(config, out, None, tell) if s.name in ("generate", "codec", "policy")]
    data = out / "data-with-depth"
    generated = replace(config.generate, tasks=config.tasks, seed=config.seed, depth=True)
    needed.append(Stage("generate", data, generated, (), lambda: demonstrate(generated, data, None, tell)))
    for name, parts in ARMS.items():
        base = POLICIES["debug" if smoke else "default"]()
        steps = base.fit.steps if smoke else STEPS
        policy = VlaConfig(head="continuous", parts=parts, text_tokens=256)
        chosen = replace(base, policy=policy, fit=replace(base.fit, steps=steps))
        target = out / slug(f"prompt {name}")
        work = partial(train, chosen, data, None, target)
        needed.append(Stage("policy", target, chosen, (data,), work))
    return needed


def _row(tried: EvalResult, name: str) -> Check:
    whole = next(r for r in tried.table if r.arm == name and r.task == "all")
    unseen = next(r for r in tried.table if r.arm == f"{name}, unseen wording" and r.task == "all")
    told = f"{whole.successes}/{whole.trials}, 95% {100 * whole.low:.0f} … {100 * whole.high:.0f}%"
    told += f"; unseen wordings {100 * unseen.rate:.1f}%"
    if name != WHOLE:
        first, second = ([float(r.success) for r in _sorted(tried, arm)] for arm in (name, WHOLE))
        pairs = Pairs.of(first, second)
        low, high = (100 * v for v in newcombe_interval(pairs))
        difference = 100 * (pairs.first_only - pairs.second_only) / pairs.count
        told += f"; less the whole {difference:+.1f} points, 95% {low:+.1f} … {high:+.1f}"
    return Check(name, 100 * whole.rate, "%", "shown", told, True)


def _sorted(tried: EvalResult, arm: str) -> list:
    return sorted(tried.records[arm], key=lambda r: (r.task, r.seed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", type=Path)
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(partial(main, out=given.out), "prompt_ablation")
