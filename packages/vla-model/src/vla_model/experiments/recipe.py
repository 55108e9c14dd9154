"""One whole run: demonstrations, codec, policy, held-out moments, closed loop. Each is a stage of its own, so
that runs which agree up to some stage share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vla_data import open_episodes
from vla_data.config import config_hash, to_dict
from vla_data.report import Section
from vla_data.runs import Stage
from vla_data.sim.generate import GenerateConfig, generate
from vla_model.eval_config import Arm, EvalConfig
from vla_model.eval_report import run_evaluation
from vla_model.finetuning import PRESETS as POLICIES
from vla_model.finetuning import FinetuneConfig, finetune
from vla_model.offline import OfflineConfig, describe, offline_metrics
from vla_model.policies.kinds import kind_of
from vla_model.policies.registry import load_policy
from vla_ts import fit_vqvae
from vla_ts.fit import PRESETS as CODECS
from vla_ts.fit import FitVqvaeConfig

HELD_SEED = 999  # of placements for held-out demonstrations; no training uses it by default
KINDS = ("data", "held", "codec", "policy", "offline", "evaluation")


@dataclass(frozen=True)
class RecipeConfig:
    """A run.

    Args:
        generate: demonstrations to learn from; tasks of all stages.
        held: demonstrations a task that are asked about and not trained on.
        codec: of heads that speak codes; others do without.
        policy: its network and training.
        evaluation: the closed loop.
        offline: which held-out moments are asked about.
    """

    generate: GenerateConfig = field(default_factory=lambda: GenerateConfig(episodes=40, noise=0.5))
    held: int = 5
    codec: FitVqvaeConfig = field(default_factory=CODECS["default"])
    policy: FinetuneConfig = field(default_factory=POLICIES["default"])
    evaluation: EvalConfig = field(default_factory=lambda: EvalConfig(videos=False))
    offline: OfflineConfig = field(default_factory=OfflineConfig)


def _debug() -> RecipeConfig:
    base = RecipeConfig()
    return replace(
        base,
        generate=replace(base.generate, tasks=("reach",), episodes=2, episodes_per_shard=1),
        held=1,
        codec=CODECS["debug"](),
        policy=POLICIES["debug"](),
        evaluation=replace(base.evaluation, trials=2, max_steps=20),
    )


PRESETS: dict[str, Callable[[], RecipeConfig]] = {"default": RecipeConfig, "debug": _debug}


@dataclass(frozen=True)
class Step:
    """A stage of a run as a work unit: what it does, where, and the stages it reads."""

    kind: str
    directory: str
    recipe: RecipeConfig
    inputs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {Path(self.directory).name}"


def steps_of(recipe: RecipeConfig, root: Path) -> dict[str, Step]:
    """The stages of a run by kind, in order. Equal stages of two runs have one directory."""
    made = replace(recipe.generate, tasks=tuple(recipe.generate.tasks))
    data = _step("data", root, recipe, to_dict(made))
    held = _step("held", root, recipe, to_dict(_held(recipe)))
    found = {"data": data, "held": held}
    reads = (data.directory,)
    if kind_of(recipe.policy.policy).codes(recipe.policy.policy):
        found["codec"] = _step("codec", root, recipe, to_dict(recipe.codec), reads)
        reads = (data.directory, found["codec"].directory)
    policy = found["policy"] = _step("policy", root, recipe, to_dict(recipe.policy), reads)
    asked = to_dict(recipe.offline)
    found["offline"] = _step("offline", root, recipe, asked, (policy.directory, held.directory))
    protocol = to_dict(_evaluation(recipe))
    found["evaluation"] = _step("evaluation", root, recipe, protocol, (policy.directory,))
    return found


def _step(kind: str, root: Path, recipe: RecipeConfig, config: Any, inputs: tuple[str, ...] = ()) -> Step:
    digest = config_hash({"config": config, "inputs": [Path(i).name for i in inputs]})[:12]
    return Step(kind, str(root / kind / digest), recipe, inputs)


def _held(recipe: RecipeConfig) -> GenerateConfig:
    return replace(recipe.generate, episodes=recipe.held, seed=HELD_SEED, noise=0.0)


def _evaluation(recipe: RecipeConfig) -> EvalConfig:
    tasks, sim = recipe.generate.tasks, recipe.generate.sim
    return replace(recipe.evaluation, sim=sim, tasks=tasks, execute=recipe.policy.execute)


def stage_of(step: Step) -> Stage:
    """The stage that a step is."""
    work, config = _WORK[step.kind](step)
    return Stage(step.kind, Path(step.directory), config, tuple(map(Path, step.inputs)), work)


Work = Callable[[], tuple[dict[str, Any], list[Section]]]


def _data(step: Step) -> tuple[Work, Any]:
    config = step.recipe.generate if step.kind == "data" else _held(step.recipe)
    return lambda: (generate(config, Path(step.directory), workers=1), []), config


def _codec(step: Step) -> tuple[Work, Any]:
    source, out = Path(step.inputs[0]), Path(step.directory)
    return lambda: fit_vqvae(_episodes(source, step), step.recipe.codec, out), step.recipe.codec


def _policy(step: Step) -> tuple[Work, Any]:
    config, out = step.recipe.policy, Path(step.directory)
    data, codec = Path(step.inputs[0]), Path(step.inputs[1]) if len(step.inputs) > 1 else None
    return lambda: finetune(_episodes(data, step), config, codec, out), config


def _offline(step: Step) -> tuple[Work, Any]:
    policy, held = map(Path, step.inputs)

    def work() -> tuple[dict[str, Any], list[Section]]:
        source = _episodes(held, step)
        found = offline_metrics(load_policy(policy / "checkpoint"), source, step.recipe.offline)
        return describe(found, source.name)

    return work, step.recipe.offline


def _closed_loop(step: Step) -> tuple[Work, Any]:
    config, out = _evaluation(step.recipe), Path(step.directory)
    arm = Arm("policy", str(Path(step.inputs[0]) / "checkpoint"))
    return lambda: run_evaluation((arm,), config, out, workers=1), config


_WORK: dict[str, Callable[[Step], tuple[Work, Any]]] = {
    "data": _data,
    "held": _data,
    "codec": _codec,
    "policy": _policy,
    "offline": _offline,
    "evaluation": _closed_loop,
}


def _episodes(directory: Path, step: Step) -> Any:
    made = step.recipe.generate
    return open_episodes(directory / made.sim / made.version)
