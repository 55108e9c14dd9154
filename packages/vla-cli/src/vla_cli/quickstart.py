"""The quick start: from an empty directory to a trained policy that drives a simulated arm.

Six stages in one run directory, each skipped when up to date and resumed when interrupted:
demonstrations → what is in them → what is seen in one → action codec → policy → closed-loop evaluation;
then one page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_data.config import to_dict
from vla_data.files import read_json, write_json
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.report import Block, Code, Section, Table, Text, write_page
from vla_data.runs import MANIFEST, Manifest, Stage, StageResult, load_run_sections, machine, run_stage
from vla_data.sim import CameraView
from vla_data.sim.generate import GenerateConfig
from vla_model.eval_config import Arm, EvalConfig
from vla_model.finetuning import PRESETS as POLICY_PRESETS
from vla_model.finetuning import FinetuneConfig
from vla_ts.fit import PRESETS as CODEC_PRESETS
from vla_ts.fit import FitVqvaeConfig
from vla_vision.evaluation import EvaluateConfig

SCENE_CAMERA = "corner4"
TASKS = ("reach", "button-press-topdown", "drawer-open", "door-open", "window-open")


def _demonstrations() -> GenerateConfig:
    """More noise than the general default: these experts bear it (20/20 at 0.5), and a policy that has seen
    how to come back does better than one that has only seen straight ways."""
    return GenerateConfig(episodes=80, noise=0.5)


def _scene() -> GenerateConfig:
    camera = CameraView(SCENE_CAMERA, SCENE_CAMERA, 240, 240)
    return GenerateConfig(episodes=1, cameras=(camera,), labels=True, image_encoding="jpeg")


@dataclass(frozen=True)
class QuickstartConfig:
    """What the quick start does; `tasks` and `seed` reach into every stage.

    Args:
        tasks: tasks to demonstrate, learn and try.
        seed: of demonstrations and of both trainings.
        generate, scene, perception, codec, policy, evaluation: the stages' own configurations. `scene` is the
            labelled episode that is looked at, of the last task; where `perception` names no weights, those
            of runs `detector` and `depth` beside this one are taken, if there are any.
    """

    tasks: tuple[str, ...] = TASKS
    seed: int = 0
    generate: GenerateConfig = field(default_factory=_demonstrations)
    scene: GenerateConfig = field(default_factory=_scene)
    perception: EvaluateConfig = field(default_factory=lambda: EvaluateConfig(pictures=0))
    codec: FitVqvaeConfig = field(default_factory=CODEC_PRESETS["default"])
    policy: FinetuneConfig = field(default_factory=POLICY_PRESETS["default"])
    evaluation: EvalConfig = field(default_factory=EvalConfig)


def _smoke() -> QuickstartConfig:
    base = QuickstartConfig(tasks=("reach", "window-open"))
    return replace(
        base,
        generate=replace(base.generate, episodes=4),
        scene=replace(base.scene, cameras=(CameraView(SCENE_CAMERA, SCENE_CAMERA, 96, 96),)),
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
    scene = replace(config.scene, tasks=config.tasks[-1:], seed=config.seed)
    weights = earlier_weights(out) if config.perception.sight.detector is None else {}
    seen, seen_config = out / "perceive", {"scene": scene, "perception": config.perception}
    arms = quickstart_arms(policy / "checkpoint")
    protocol = {"evaluation": to_dict(evaluation), "arms": {a.name: a.wording for a in arms}}
    return [
        Stage("generate", data, generate, (), lambda: demonstrate(generate, data, workers, on_progress)),
        Stage("explore", out / "explore", {}, (data,), lambda: _explore(data, on_progress)),
        Stage(
            "perceive",
            seen,
            seen_config,
            tuple(weights.values()),
            lambda: _perceive(scene, config.perception, weights, seen, on_progress),
        ),
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


def demonstrate(
    config: GenerateConfig, out: Path, workers: int | None, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Section]]:
    """Episodes of a simulator's expert, as a stage."""
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


def earlier_weights(out: Path) -> dict[str, Path]:
    """Runs of `vla vision train` and `train-depth` beside this one, called `detector` and `depth`.

    They are looked for once and remembered in `out`: a run goes on as it began.
    """
    note = out / "weights.json"
    if not note.is_file():
        names = {"detector": "train-detector", "depth": "train-depth"}
        paths = {name: out.parent / name for name in names}
        found = {n: p for n, p in paths.items() if (p / MANIFEST).is_file()}
        kept = [name for name, path in found.items() if Manifest.load(path).stage == names[name]]
        write_json(note, kept)
    return {name: out.parent / name for name in read_json(note)}


def _perceive(
    scene: GenerateConfig,
    config: EvaluateConfig,
    weights: Mapping[str, Path],
    out: Path,
    on_progress: OnProgress,
) -> tuple[dict[str, Any], list[Section]]:
    """One labelled episode, perceived with what there is."""
    from vla_data import open_episodes
    from vla_data.sim.generate import generate
    from vla_data.video import Mp4Writer
    from vla_vision.evaluation import evaluate_episodes

    made = generate(scene, out / "scene", workers=1, on_progress=on_progress)
    sight = config.sight
    detector = sight.detector or str(weights.get("detector", "labels"))
    depth = sight.depth or str(weights.get("depth", "sensor"))
    config = replace(config, sight=replace(sight, detector=detector, depth=depth))
    source = open_episodes(made["directory"])
    summary, sections = evaluate_episodes(source, config, out, on_progress, open_video=Mp4Writer)
    order = sorted(sections, key=lambda s: s.title != "Frames")  # first what it looks like
    shown = *missing(detector, depth), *(block for section in order for block in section.blocks)
    return {**summary, "detector": detector, "depth": depth}, [Section("Perception", shown)]


def missing(detector: str, depth: str) -> tuple[Block, ...]:
    """What stands in for weights that nobody has trained yet, and how to train them."""
    said, commands = [], []
    if detector == "labels":
        said.append("No detector has been trained yet: the boxes are the simulator's, and none is scored.")
        commands.append("vla vision train --data runs/seen --out runs/detector")
    if depth == "sensor":
        said.append("No depth network has been trained yet: depth is the simulator's.")
        commands.append("vla vision train-depth --data runs/seen --out runs/depth")
    if not commands:
        return (Text("Detector and depth network are those of runs beside this one."),)
    said.append("To see with networks instead, train them and run the quick start with another --out:")
    made = "vla data generate metaworld --preset perception --out runs/seen"
    return Text(" ".join(said)), Code("\n".join((made, *commands)))


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
