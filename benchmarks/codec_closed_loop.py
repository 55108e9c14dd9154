"""A policy that speaks codes beside one that speaks numbers: what does the codec cost in the closed loop?

The quick start's data and policy, twice: with a head over the codes of a VQ-VAE, and with a head over the
normalised numbers of the chunk. Same network up to the head, same steps and seed, and both are tried on the
same placements that neither has seen, so outcomes are pairs. The interval of the difference is that of
Newcombe for pairs, a bootstrap over the pairs beside it. Expert and random actions are tried on a part of
the placements.

`--out DIR` keeps every stage: the same call goes on from where it was interrupted, also from the directory
of a finished `vla quickstart`, whose data, codec and policy it takes over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from _frame import Check, run
from vla_cli.quickstart import PRESETS, QuickstartConfig, stages
from vla_data.protocols import Progress
from vla_data.report import Section
from vla_data.runs import Stage, run_stage
from vla_model.eval_config import Arm, EvalConfig
from vla_model.evaluate import EvalResult, TaskResult, evaluate
from vla_model.finetuning import FinetuneConfig
from vla_model.statistics import Pairs, mcnemar, newcombe_interval

CODES, NUMBERS, EXPERT, RANDOM = "codes", "numbers", "scripted expert", "random"
PLACEMENTS, BASELINE_PLACEMENTS = 100, 20  # a task
GOAL = -5.0
RESAMPLES = 10_000
TRAINED = {"generate", "codec", "policy"}  # stages of the quick start that are needed here


def main(smoke: bool, out: Path | None = None, workers: int | None = None) -> list[Check]:
    """Train what is not trained yet, try both policies, compare the pairs."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            return main(smoke, Path(scratch), workers)
    config = PRESETS["smoke" if smoke else "default"]()
    for stage in _stages(config, out, workers):
        run_stage(stage)
    trials, few = (4, 2) if smoke else (PLACEMENTS, BASELINE_PLACEMENTS)
    protocol = replace(
        config.evaluation, tasks=config.tasks, execute=config.policy.execute, trials=trials, videos=False
    )
    own = (Arm(CODES, str(out / "policy/checkpoint")), Arm(NUMBERS, str(out / "numbers/checkpoint")))
    beside = (Arm(EXPERT, "expert"), Arm(RANDOM, "random"))
    tried = _try(own, protocol, out / "pairs", workers)
    others = _try(beside, replace(protocol, trials=few), out / "baselines", workers)
    return _checks(tried, others, smoke)


def _stages(config: QuickstartConfig, out: Path, workers: int | None) -> list[Stage]:
    """The quick start's stages up to its policy, and the training of the other policy."""
    needed = [s for s in stages(config, out, workers, _tell) if s.name in TRAINED]
    policy = next(s for s in needed if s.name == "policy")
    assert isinstance(policy.config, FinetuneConfig)
    numbers = replace(policy.config, policy=replace(policy.config.policy, head="continuous"))
    data, target = policy.inputs[0], out / "numbers"
    return [*needed, Stage("numbers", target, numbers, (data,), partial(_train, numbers, data, target))]


def _train(config: FinetuneConfig, data: Path, out: Path) -> tuple[dict[str, Any], list[Section]]:
    from vla_data import open_episodes
    from vla_model.finetuning import finetune

    return finetune(open_episodes(data), config, None, out, _tell)


def _try(arms: tuple[Arm, ...], config: EvalConfig, out: Path, workers: int | None) -> EvalResult:
    return evaluate(arms, config, out, workers=workers, on_progress=_tell)


def _checks(tried: EvalResult, others: EvalResult, smoke: bool) -> list[Check]:
    outcomes = [{(r.task, r.seed): r.success for r in tried.records[arm]} for arm in (CODES, NUMBERS)]
    assert outcomes[0].keys() == outcomes[1].keys()
    first, second = (np.array([o[k] for k in sorted(o)], float) for o in outcomes)
    pairs = Pairs.of(first.tolist(), second.tolist())
    low, high = (100 * v for v in newcombe_interval(pairs))
    boot = 100 * _bootstrap(first - second)
    told = f"{pairs.first_only} only codes, {pairs.second_only} only numbers, McNemar p {mcnemar(pairs):.2f}"
    spread = f"95% {low:+.1f} … {high:+.1f}; bootstrap {boot[0]:+.1f} … {boot[1]:+.1f}"
    difference = 100 * float((first - second).mean())
    rows = [*tried.table, *others.table]
    return [
        Check("placements tried by both", len(first), "", "shown", "unseen, the same for both", True),
        *(_row(r) for r in rows if r.task == "all"),
        Check("codes − numbers", difference, "points", "shown", spread, True),
        Check("  lower 95% bound", low, "points", f"> {GOAL:g}", told, smoke or low > GOAL),
        *(_row(r) for r in rows if r.task != "all"),
    ]


def _row(result: TaskResult) -> Check:
    name = result.arm if result.task == "all" else f"  {result.arm}: {result.task}"
    told = f"{result.successes}/{result.trials}, 95% {100 * result.low:.0f} … {100 * result.high:.0f}%"
    return Check(name, 100 * result.rate, "%", "shown", told, True)


def _bootstrap(difference: np.ndarray) -> np.ndarray:
    """2.5% and 97.5% quantile of the mean over resampled placements."""
    rng = np.random.default_rng(0)
    picked = rng.integers(0, len(difference), (RESAMPLES, len(difference)))
    return np.quantile(difference[picked].mean(1), [0.025, 0.975])


def _tell(progress: Progress) -> None:
    every = max(1, (progress.total or 1) // 50)
    if progress.done % every == 0:
        print(f"{progress.stage} {progress.done}/{progress.total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int)
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(partial(main, out=given.out, workers=given.workers), "codec_closed_loop")
