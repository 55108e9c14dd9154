"""What an evaluation says: summary, tables, charts and clips."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.charts import BarChart, Bars
from vla_data.protocols import OnProgress, Policy, no_progress
from vla_data.report import Gallery, Media, Section, Table, Text
from vla_data.robots import is_remote
from vla_data.sim import chosen_tasks, pictures_of
from vla_data.sim.perturbing import IN_WORDS
from vla_model.clips import Clip, choose_clips, film
from vla_model.eval_config import UNTRAINED, Arm, EvalConfig
from vla_model.evaluate import EvalResult, TaskResult, evaluate
from vla_model.policies.registry import load_policy

LATENCY_CALLS = 100
CAPTION = "successes / trials, rate, Wilson 95% interval"
MOST_COLUMNS = 5  # of arms; more of them are rows
LONGEST_LABEL = 24  # letters of a task below its bar; longer ones are numbered


def run_evaluation(
    arms: Sequence[Arm],
    config: EvalConfig,
    out: Path,
    *,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[dict[str, Any], list[Section]]:
    """Evaluate, film, and describe: the body of the evaluation stage."""
    config = replace(config, tasks=chosen_tasks(config.sim, config.tasks))
    result = evaluate(arms, config, out, workers=workers, on_progress=on_progress)
    clips = choose_clips(arms, config, result, out) if config.videos else []
    film(clips, workers=workers, on_progress=on_progress)
    sections = describe(arms, config, result, clips, out)
    trained = next((a.policy for a in arms if a.policy not in UNTRAINED), None)
    if trained is not None:
        sections.append(speed(trained, config))
    return summarise(arms, result), sections


def summarise(arms: Sequence[Arm], result: EvalResult) -> dict[str, Any]:
    """Success per arm over all tasks, and per task, as plain values."""
    out: dict[str, Any] = {}
    for arm in arms:
        rows = [r for r in result.table if r.arm == arm.name]
        out[arm.name] = {r.task: f"{r.successes}/{r.trials}" for r in rows}
        out[arm.name]["rate"] = round(result.rate(arm.name), 4)
    return out


def describe(
    arms: Sequence[Arm], config: EvalConfig, result: EvalResult, clips: Sequence[Clip], out: Path
) -> list[Section]:
    """The sections of the evaluation's page."""
    tasks = (*config.tasks, "all")
    cells = {(r.arm, r.task): r for r in result.table}
    long = max(map(len, tasks)) > LONGEST_LABEL
    marks = tuple(str(i + 1) for i in range(len(config.tasks))) if long else config.tasks
    told = tuple(f"{m}. {t}" for m, t in zip(marks, config.tasks, strict=True)) if long else config.tasks
    table = Table(*_rows(arms, list(zip(tasks, (*told, "all"), strict=True)), cells), CAPTION)
    chart = BarChart(
        "Success by task, Wilson 95% intervals",
        (*marks, "all"),
        tuple(_bars(a, [cells[a.name, t] for t in tasks]) for a in arms),
        y_label="success, %",
        y_max=100.0,
    )
    sections = [
        Section(
            "Closed-loop success",
            (Text(protocol(arms, config)), table, chart),
        ),
    ]
    if clips:
        items = tuple(_media(c, out) for c in clips)
        note = "The first success and the first failure of each task, at the control rate."
        sections.append(Section("Roll-outs", (Text(note), Gallery(items, width=200))))
    return sections


def _rows(
    arms: Sequence[Arm], tasks: Sequence[tuple[str, str]], cells: Mapping[tuple[str, str], TaskResult]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Columns and rows: a row for each task, or where there are many arms for each of those."""
    if len(arms) <= MOST_COLUMNS:
        columns = ("", *(a.name for a in arms))
        return columns, tuple((said, *(_cell(cells[a.name, t]) for a in arms)) for t, said in tasks)
    columns = ("", *(said for _, said in tasks))
    return columns, tuple((a.name, *(_cell(cells[a.name, t]) for t, _ in tasks)) for a in arms)


def protocol(arms: Sequence[Arm], config: EvalConfig) -> str:
    """The protocol in a sentence or two."""
    steps = "the simulator's own cap" if config.max_steps is None else f"{config.max_steps} steps"
    wordings = {
        "train": "the canonical instruction",
        "unseen": "wordings kept out of training",
        "permuted": "the instruction of another task",
        "blank": "nothing",
    }
    usual = [a for a in arms if a.policy != "random" and a.wording == "train"]
    others = [f"{a.name}: {wordings[a.wording]}" for a in arms if a.wording != "train"]
    told = "; ".join([*([wordings["train"]] if usual else []), *others]) or "nothing"
    differs = "".join(f" {a.name}: {IN_WORDS[a.axis]}." for a in arms if a.axis)
    placements = "placement" if config.trials == 1 else "placements"
    late = f", answers {config.latency:g} ms after the look" if config.latency else ""
    settled = f"{config.settle_steps} settling steps, fixtures of seed {config.world_seed}, "
    return (
        f"{pictures_of(config.sim)}, {config.trials} {placements} a task of the {config.split!r} split "
        f"(disjoint from training by construction), {settled if config.sim == 'libero' else ''}cap {steps}, "
        f"{config.execute} actions executed between looks{late}, {config.render} rendering. "
        f"Told: {told}.{differs}"
    )


def speed(policy_of: str, config: EvalConfig) -> Section:
    """How long the policy thinks, beside the time it has."""
    from vla_data.fit.hardware import torch_threads

    with torch_threads(config.threads):
        policy = load_policy(policy_of)
        median, p99 = latency_ms(policy)
    budget = 1000 * config.execute / policy.input_spec.robot.action.control_hz
    where = f"on this machine, torch threads: {config.threads}"
    if is_remote(policy_of):
        where = f"at {policy_of}, the way there and back included"
    said = (
        f"One chunk takes {median:.1f} ms (median; 99th percentile {p99:.1f} ms) {where}; "
        f"{config.execute} actions of it last {budget:.0f} ms."
    )
    return Section("Speed", (Text(said),))


def latency_ms(policy: Policy) -> tuple[float, float]:
    """Median and 99th percentile of one chunk's inference in this process, milliseconds."""
    window = policy.input_spec.fake_window()
    policy.infer([window])
    times = []
    for _ in range(LATENCY_CALLS):
        started = time.perf_counter()
        policy.infer([window])
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times)), float(np.quantile(times, 0.99))


def _cell(result: TaskResult) -> str:
    errors = f", {result.errors} could not be judged" if result.errors else ""
    return (
        f"{result.successes}/{result.trials} {100 * result.rate:.0f}% "
        f"[{100 * result.low:.0f}–{100 * result.high:.0f}]{errors}"
    )


def _bars(arm: Arm, results: Sequence[TaskResult]) -> Bars:
    return Bars(
        arm.name,
        tuple(100 * r.rate for r in results),
        tuple(100 * r.low for r in results),
        tuple(100 * r.high for r in results),
    )


def _media(clip: Clip, out: Path) -> Media:
    outcome = "success" if clip.success else "failure"
    path = Path(clip.path).relative_to(out).as_posix()
    return Media(path, f"{clip.arm.name}, {clip.task}, {outcome}: “{clip.instruction}”")
