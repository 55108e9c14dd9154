"""The quick start: from an empty directory to a trained policy that drives a simulated arm.

Five stages in one run directory, each skipped when up to date and resumed when interrupted:
demonstrations → what is in them → action codec → policy → closed-loop evaluation; then one page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_data.config import to_dict
from vla_data.files import write_json
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Section, Table, Text, write_page
from vla_data.runs import Stage, StageResult, load_run_sections, machine, run_stage
from vla_data.sim.generate import GenerateConfig
from vla_model.evaluate import Arm, EvalConfig
from vla_model.finetuning import PRESETS as POLICY_PRESETS
from vla_model.finetuning import FinetuneConfig
from vla_ts.fit import PRESETS as CODEC_PRESETS
from vla_ts.fit import FitVqvaeConfig

TASKS = ("reach", "button-press-topdown", "drawer-open", "door-open", "window-open")


def _demonstrations() -> GenerateConfig:
    """More noise than the general default: these experts bear it (20/20 at 0.5), and a policy that has seen
    how to come back does better than one that has only seen straight ways."""
    return GenerateConfig(episodes=80, noise=0.5)


@dataclass(frozen=True)
class QuickstartConfig:
    """What the quick start does; `tasks` and `seed` reach into every stage.

    Args:
        tasks: tasks to demonstrate, learn and try.
        seed: of demonstrations and of both trainings.
        generate, codec, policy, evaluation: the stages' own configurations.
    """

    tasks: tuple[str, ...] = TASKS
    seed: int = 0
    generate: GenerateConfig = field(default_factory=_demonstrations)
    codec: FitVqvaeConfig = field(default_factory=CODEC_PRESETS["default"])
    policy: FinetuneConfig = field(default_factory=POLICY_PRESETS["default"])
    evaluation: EvalConfig = field(default_factory=EvalConfig)


def _smoke() -> QuickstartConfig:
    base = QuickstartConfig(tasks=("reach", "window-open"))
    return replace(
        base,
        generate=replace(base.generate, episodes=4),
        codec=CODEC_PRESETS["debug"](),
        policy=POLICY_PRESETS["debug"](),
        evaluation=replace(base.evaluation, trials=2, max_steps=100),
    )


PRESETS: dict[str, Callable[[], QuickstartConfig]] = {"default": QuickstartConfig, "smoke": _smoke}


def run(
    config: QuickstartConfig,
    out: Path,
    *,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Run every stage that is not up to date, then write `report.html`.

    Returns:
        Success per arm and task, stage times, and where the page is.

    Raises:
        DataError: the directory holds a run of another configuration.
    """
    results: list[StageResult] = []
    for stage in stages(config, out, workers, on_progress):
        on_progress(Progress(stage.name, 0, None, message="starting"))
        results.append(run_stage(stage))
    summary = _summary(config, out, results)
    sections = [_overview(summary), *load_run_sections(out)]
    write_page(out / "report.html", "Quick start", sections, subtitle=summary["machine"])
    write_json(out / "summary.json", summary)
    return summary


def stages(config: QuickstartConfig, out: Path, workers: int | None, on_progress: OnProgress) -> list[Stage]:
    """The stages in order."""
    data, codec, policy = out / "data", out / "codec", out / "policy"
    generate = replace(config.generate, tasks=config.tasks, seed=config.seed)
    codec_config = replace(config.codec, fit=replace(config.codec.fit, seed=config.seed))
    policy_config = replace(config.policy, fit=replace(config.policy.fit, seed=config.seed))
    evaluation = replace(config.evaluation, tasks=config.tasks, execute=config.policy.execute)
    arms = quickstart_arms(policy / "checkpoint")
    protocol = {"evaluation": to_dict(evaluation), "arms": {a.name: a.wording for a in arms}}
    return [
        Stage("generate", data, generate, (), lambda: _generate(generate, data, workers, on_progress)),
        Stage("explore", out / "explore", {}, (data,), lambda: _explore(data, on_progress)),
        Stage("codec", codec, codec_config, (data,), lambda: _codec(codec_config, data, codec, on_progress)),
        Stage(
            "policy",
            policy,
            policy_config,
            (data, codec),
            lambda: _policy(policy_config, data, codec, policy, on_progress),
        ),
        Stage(
            "evaluate",
            out / "evaluate",
            protocol,
            (policy,),
            lambda: _evaluate(arms, evaluation, out / "evaluate", workers, on_progress),
        ),
    ]


def quickstart_arms(checkpoint: Path) -> tuple[Arm, ...]:
    """The rows of the table: the policy three times, the expert, chance."""
    return (
        Arm("policy", str(checkpoint)),
        Arm("policy, unseen wording", str(checkpoint), "unseen"),
        Arm("policy, permuted instructions", str(checkpoint), "permuted"),
        Arm("scripted expert", "expert"),
        Arm("random", "random"),
    )


def _generate(
    config: GenerateConfig, out: Path, workers: int | None, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    from vla_data.sim.generate import generate

    summary = generate(config, out, workers=workers, on_progress=on_progress)
    rows = tuple((k, str(v)) for k, v in summary.items() if not isinstance(v, dict))
    return summary, [Section("Demonstrations", (Table(("", "value"), rows),))]


def _explore(data: Path, on_progress: OnProgress) -> tuple[dict[str, Any], list[Section]]:
    from vla_data import explore

    model = explore.inspect(data)
    found = explore.stats([str(data)], on_progress)
    return {"episodes": found[0].episodes, "steps": found[0].steps}, [
        *model.sections(),
        *explore.sections(found),
    ]


def _codec(
    config: FitVqvaeConfig, data: Path, out: Path, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    from vla_data import open_episodes
    from vla_ts import fit_vqvae

    return fit_vqvae(open_episodes(data), config, out, on_progress)


def _policy(
    config: FinetuneConfig, data: Path, codec: Path, out: Path, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    from vla_data import open_episodes
    from vla_model.finetuning import finetune

    return finetune(open_episodes(data), config, codec, out, on_progress)


def _evaluate(
    arms: tuple[Arm, ...], config: EvalConfig, out: Path, workers: int | None, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    from vla_model.eval_report import run_evaluation

    return run_evaluation(arms, config, out, workers=workers, on_progress=on_progress)


def _summary(config: QuickstartConfig, out: Path, results: list[StageResult]) -> dict[str, Any]:
    return {
        "out": str(out),
        "report": str(out / "report.html"),
        "tasks": list(config.tasks),
        "success": results[-1].manifest.summary,
        "stages": [
            {"name": r.manifest.stage, "seconds": r.manifest.seconds, "skipped": r.skipped} for r in results
        ],
        "seconds": round(sum(r.manifest.seconds for r in results), 1),
        "machine": machine(),
    }


def _overview(summary: dict[str, Any]) -> Section:
    tasks = [*summary["tasks"], "all"]
    rows = tuple(
        (arm, *(counts[t] for t in tasks), f"{100 * counts['rate']:.0f}%")
        for arm, counts in summary["success"].items()
    )
    times = tuple((s["name"], f"{s['seconds']:.0f} s") for s in summary["stages"])
    return Section(
        "Result",
        (
            Text(
                "One policy, trained here from pixels, proprioception and words, tried on placements it "
                "never saw, beside the scripted expert it learned from and a policy that moves at random."
            ),
            Table(("", *tasks, "rate"), rows, "successes / trials"),
            Table(("stage", "time"), (*times, ("all", f"{summary['seconds']:.0f} s")), summary["machine"]),
        ),
    )
