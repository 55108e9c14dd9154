"""Policies beside each other in the closed loop: same demonstrations, same protocol, same placements.

On the five tasks of the quick start: the VLA policy with each of its heads, RT-1 with and without
TokenLearner, the compact policy, the scripted expert and random actions. Every arm tries the same placements,
none of which was trained on; the VLA policy and the compact one are compared in pairs (Newcombe's interval).
Latency is of one chunk on one thread, the prompt read before.

`--out DIR` keeps every stage; an interrupted call goes on. It may be the directory of a finished
`vla quickstart`, whose data, codec and compact policy are taken over. `--arms` names some of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _frame import Check, run
from vla_cli.quickstart import PRESETS, QuickstartConfig, stages
from vla_data import open_episodes
from vla_data.protocols import Progress
from vla_data.report import Section
from vla_data.runs import Manifest, Stage, run_stage
from vla_model import load_policy
from vla_model.eval_config import Arm
from vla_model.evaluate import EvalResult, TaskResult, evaluate
from vla_model.finetuning import PRESETS as POLICIES
from vla_model.finetuning import FinetuneConfig, finetune
from vla_model.policies.kinds import PolicyConfig
from vla_model.policies.rt1 import RT1Config
from vla_model.policies.vla import VlaConfig
from vla_model.statistics import Pairs, mcnemar, newcombe_interval
from vla_ts.fit_run import fit_and_measure, presets

COMPACT, EXPERT, RANDOM = "compact", "scripted expert", "random"
BEST = "vla, continuous"  # compared with the compact policy
ARMS: dict[str, PolicyConfig] = {
    "vla, codes": VlaConfig(head="codes"),
    "vla, codes at once": VlaConfig(head="parallel"),
    "vla, continuous": VlaConfig(head="continuous"),
    "vla, flow": VlaConfig(head="flow"),
    "rt1": RT1Config(),
    "rt1 without TokenLearner": RT1Config(tokens=0),
}
STEPS = 4000
PLACEMENTS, BASELINE_PLACEMENTS = 50, 20  # a task
GOAL = -5.0
LOOKS = 60


def main(smoke: bool, out: Path | None = None, names: tuple[str, ...] = tuple(ARMS)) -> list[Check]:
    """Train what is not trained yet, try all, compare the pairs."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            return main(smoke, Path(scratch), names)
    config = PRESETS["smoke" if smoke else "default"]()
    for stage in _stages(config, out, names, smoke):
        run_stage(stage)
    trials, few = (2, 2) if smoke else (PLACEMENTS, BASELINE_PLACEMENTS)
    protocol = replace(
        config.evaluation, tasks=config.tasks, execute=config.policy.execute, trials=trials, videos=False
    )
    paths = {COMPACT: out / "policy", **{name: out / slug(name) for name in names}}
    own = tuple(Arm(name, str(path / "checkpoint")) for name, path in paths.items())
    beside = (Arm(EXPERT, "expert"), Arm(RANDOM, "random"))
    tried = evaluate(own, protocol, out / "policies", on_progress=tell)
    others = evaluate(beside, replace(protocol, trials=few), out / "baselines", on_progress=tell)
    table = [*tried.table, *others.table]
    return [
        *(_row(r, paths) for r in table if r.task == "all"),
        *_paired(tried, smoke),
        *(_row(r, {}) for r in table if r.task != "all"),
    ]


def slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def _stages(config: QuickstartConfig, out: Path, names: tuple[str, ...], smoke: bool) -> list[Stage]:
    """The quick start's stages up to its policy, bins for RT-1, and the other policies."""
    needed = [s for s in stages(config, out, None, tell) if s.name in ("generate", "codec", "policy")]
    data, codec, bins = out / "data", out / "codec", out / "bins"
    kind = presets("uniform_bins")["default"]()
    needed.append(Stage("bins", bins, kind, (data,), partial(_fit, kind, data, bins)))
    for name in names:
        base = POLICIES["debug" if smoke else "default"]()
        steps = base.fit.steps if smoke else STEPS
        chosen = replace(base, policy=ARMS[name], fit=replace(base.fit, steps=steps))
        spoken = bins if isinstance(chosen.policy, RT1Config) else codec
        target = out / slug(name)
        work = partial(train, chosen, data, spoken, target)
        needed.append(Stage("policy", target, chosen, (data, spoken), work))
    return needed


def _fit(config: Any, data: Path, out: Path) -> tuple[dict[str, Any], list[Section]]:
    return fit_and_measure(open_episodes(data), config, out, on_progress=tell)


def train(
    config: FinetuneConfig, data: Path, codec: Path | None, out: Path
) -> tuple[dict[str, Any], list[Section]]:
    return finetune(open_episodes(data), config, codec, out, tell)


def _row(result: TaskResult, paths: dict[str, Path]) -> Check:
    name = result.arm if result.task == "all" else f"  {result.arm}: {result.task}"
    told = f"{result.successes}/{result.trials}, 95% {100 * result.low:.0f} … {100 * result.high:.0f}%"
    if result.arm in paths:
        trained = Manifest.load(paths[result.arm])
        median, late = _latency(paths[result.arm])
        told += (
            f"; {trained.summary['parameters']:,} parameters, {trained.summary['steps']:,} steps in "
            f"{trained.seconds / 60:.0f} min, a chunk in {median:.1f} ms (p99 {late:.1f}), "
            f"{1000 / median:.0f} Hz"
        )
    return Check(name, 100 * result.rate, "%", "shown", told, True)


def _latency(path: Path) -> tuple[float, float]:
    """Median and 99th percentile of a chunk, ms, on one thread."""
    torch.set_num_threads(1)
    policy = load_policy(path / "checkpoint")
    policy.reset([0], [0])
    window = policy.input_spec.fake_window()
    times = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        policy.infer([window])
        times.append(1000 * (time.perf_counter() - began))
    rest = np.array(times[LOOKS // 6 :])
    return float(np.median(rest)), float(np.quantile(rest, 0.99))


def _paired(tried: EvalResult, smoke: bool) -> list[Check]:
    """The VLA policy less the compact one, on the same placements."""
    if BEST not in tried.records:
        return []
    outcomes = [{(r.task, r.seed): float(r.success) for r in tried.records[arm]} for arm in (BEST, COMPACT)]
    assert outcomes[0].keys() == outcomes[1].keys()
    keys = sorted(outcomes[0])
    pairs = Pairs.of([outcomes[0][k] for k in keys], [outcomes[1][k] for k in keys])
    low, high = (100 * v for v in newcombe_interval(pairs))
    difference = 100 * (pairs.first_only - pairs.second_only) / pairs.count
    told = (
        f"n {pairs.count}, 95% {low:+.1f} … {high:+.1f}; {pairs.first_only} only the one, "
        f"{pairs.second_only} only the other, McNemar p {mcnemar(pairs):.2f}"
    )
    return [
        Check(f"{BEST} − {COMPACT}", difference, "points", "shown", told, True),
        Check("  lower 95% bound", low, "points", f"> {GOAL:g}", "", smoke or low > GOAL),
    ]


def tell(progress: Progress) -> None:
    every = max(1, int((progress.total or 1) // 50))
    if progress.done % every == 0:
        print(f"{progress.stage} {progress.done}/{progress.total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=list(ARMS))
    given, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    run(partial(main, out=given.out, names=tuple(given.arms)), "policies")
