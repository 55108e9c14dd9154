"""`vla eval`: policies driving in closed loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.commands import robots
from vla_cli.parser import example, make_group

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section
    from vla_model.eval_config import Arm, EvalConfig

Wordings = Literal["train", "unseen", "permuted", "blank"]

app = make_group("Closed-loop evaluation on benchmark simulators, with intervals.")

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="DIR", help="Checkpoint of `vla model finetune`: OUT or OUT/checkpoint."
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="A driver without a checkpoint: expert, random, or ws://HOST:PORT (`vla serve policy`).",
    ),
]


Wording = Annotated[
    Wordings,
    typer.Option(
        "--wording", help="Instructions: as trained, kept out of training, of other tasks, or none."
    ),
]

Perturb = Annotated[
    list[str] | None,
    typer.Option(
        "--perturb",
        metavar="WAY,...",
        help="Beside it, what differs from training: camera, light, colour, start, swap, distractors, "
        "unseen, permuted, blank; or all.",
    ),
]


@app.command(
    "metaworld",
    epilog=example("vla eval metaworld --checkpoint runs/policy --tasks reach --out runs/eval"),
)
def metaworld(
    out: o.Out,
    checkpoint: Checkpoint = None,
    policy: Baseline = None,
    tasks: o.Tasks = None,
    episodes: o.Episodes = None,
    wording: Wording = "train",
    perturb: Perturb = None,
    workers: o.Workers = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Drive Meta-World tasks from placements no training has seen."""
    chosen = _chosen("metaworld", tasks, episodes, preset, config, set_)
    _evaluate(chosen, checkpoint, policy, wording, perturb, out, workers, as_json)


@app.command(
    "libero",
    epilog=example("vla eval libero --policy expert --tasks libero_object --episodes 10 --out runs/eval"),
)
def libero(
    out: o.Out,
    checkpoint: Checkpoint = None,
    policy: Baseline = None,
    tasks: o.Tasks = None,
    episodes: o.Episodes = None,
    wording: Wording = "train",
    perturb: Perturb = None,
    workers: o.Workers = None,
    preset: o.PresetName = "libero",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Drive LIBERO tasks from the fixed initial states of its protocol; a suite stands for its tasks."""
    chosen = _chosen("libero", tasks, episodes, preset, config, set_)
    _evaluate(chosen, checkpoint, policy, wording, perturb, out, workers, as_json)


app.command("robot", epilog=robots.EVAL_EXAMPLE)(robots.evaluate)


@app.command(
    "offline", epilog=example("vla eval offline --checkpoint runs/policy --data runs/held --out runs/offline")
)
def offline(
    out: o.Out,
    data: o.Data,
    checkpoint: Checkpoint = None,
    policy: robots.Elsewhere = None,
    split: o.Split = "train",
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Steps between moments.")] = 8,
    episodes: Annotated[
        int | None, typer.Option("--episodes", metavar="N", min=1, help="At most so many; default: all.")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Hold a policy's answers beside what was demonstrated, on episodes it was not trained on."""
    from vla_data import open_episodes
    from vla_model.offline import OfflineConfig, describe, offline_metrics
    from vla_model.policies.registry import load_policy

    where = robots.who_drives(checkpoint, policy)
    source, config = open_episodes(data, split=split), OfflineConfig(every, episodes)

    def work(on: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        return describe(offline_metrics(load_policy(where), source, config, on), source.name)

    inputs = stages.input_stages(data, *([where] if checkpoint else []))
    told = {"moments": config, "policy": policy or "checkpoint", "split": split}
    stages.run("offline", out, told, inputs, work, as_json, tables=True)


@app.command("duel", epilog=example("vla eval duel runs/a runs/b --tasks reach --out runs/duel"))
def duel(
    first: Annotated[
        str, typer.Argument(metavar="POLICY", help="Checkpoint, expert, random or ws://HOST:PORT.")
    ],
    second: Annotated[str, typer.Argument(metavar="POLICY", help="Another.")],
    out: o.Out,
    sim: Annotated[str, typer.Option("--sim", metavar="SIM", help="Simulator; default: the preset's.")] = "",
    tasks: o.Tasks = None,
    episodes: o.Episodes = None,
    sure: Annotated[float, typer.Option("--sure", metavar="P", help="Stop once p is at most this.")] = 0.05,
    workers: o.Workers = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Try two policies on the same placements until they can be told apart, --episodes a task at most."""
    from vla_model.duel import duel as dueled
    from vla_model.eval_config import PRESETS

    names = o.split_names(tasks)
    chosen = o.make_config(PRESETS, preset, config, set_, sim=sim or None, tasks=names, trials=episodes)
    arms = [_either(name, place) for name, place in (("first", first), ("second", second))]
    told = {"evaluation": chosen, "sure": sure, "policies": [first, second]}
    inputs = [p for arm in arms for p in stages.input_stages(arm.policy)]

    def work(on: OnProgress) -> tuple[dict[str, Any], list[Section]]:
        return dueled(arms[0], arms[1], chosen, out, sure=sure, workers=workers, on_progress=on)

    stages.run("duel", out, told, inputs, work, as_json, tables=True)


@app.command("compare", epilog=example("vla eval compare runs/eval-a runs/eval-b"))
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="An evaluation.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another, or the same.")],
    arms: Annotated[
        list[str] | None,
        typer.Option("--arms", metavar="ROW,ROW", help="Which row of each, where there are several."),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Compare two evaluations on the placements that both tried: difference, interval, exact test."""
    from vla_cli.output import emit, print_sections
    from vla_model.compare import compare as compared

    found = compared(first, second, o.split_names(arms) or ())
    emit(found.summary(), as_json, lambda to: print_sections(to, [found.section()]))


def _chosen(
    sim: str,
    tasks: list[str] | None,
    episodes: int | None,
    preset: str,
    file: Path | None,
    overrides: list[str] | None,
) -> EvalConfig:
    """The protocol."""
    from vla_model.eval_config import PRESETS

    names = o.split_names(tasks)
    return o.make_config(PRESETS, preset, file, overrides, sim=sim, tasks=names, trials=episodes)


def _evaluate(
    chosen: EvalConfig,
    checkpoint: Path | None,
    policy: str | None,
    wording: Wordings,
    perturb: list[str] | None,
    out: Path,
    workers: int | None,
    as_json: bool,
) -> None:
    from vla_model.eval_config import differing
    from vla_model.eval_report import run_evaluation

    arm = _arm(checkpoint, policy, wording, chosen.sim)
    arms = differing(arm, o.split_names(perturb) or ())
    stages.run(
        "evaluate",
        out,
        {
            "evaluation": chosen,
            "policy": policy or "checkpoint",
            "arms": [a.name for a in arms],
            "wording": wording,
        },
        stages.input_stages(arm.policy) if checkpoint else [],
        lambda on: run_evaluation(arms, chosen, out, workers=workers, on_progress=on),
        as_json,
        tables=True,
    )


def _either(name: str, place: str) -> Arm:
    """A row for a checkpoint, an address, or a driver without a checkpoint."""
    from vla_data.robots import is_remote
    from vla_model.checkpoint import find_checkpoint
    from vla_model.eval_config import UNTRAINED, Arm

    known = place in UNTRAINED or is_remote(place)
    return Arm(name, place if known else str(find_checkpoint(Path(place))))


def _arm(checkpoint: Path | None, policy: str | None, wording: Wordings, sim: str) -> Arm:
    """The one row of the table: exactly one of a checkpoint and a named driver."""
    from vla_data.errors import ConfigError
    from vla_data.registry import lookup
    from vla_data.robots import is_remote
    from vla_model.checkpoint import find_checkpoint
    from vla_model.eval_config import UNTRAINED, Arm

    if (checkpoint is None) == (policy is None):
        raise ConfigError(
            "say who drives: exactly one of --checkpoint and --policy",
            where=f"vla eval {sim}",
            next_step=f"vla eval {sim} --checkpoint RUN --tasks … --out DIR",
        )
    if policy is not None:
        if not is_remote(policy):
            lookup("policy", dict.fromkeys(UNTRAINED), policy)
        return Arm("policy" if is_remote(policy) else policy, policy, wording)
    assert checkpoint is not None
    return Arm("policy", str(find_checkpoint(checkpoint)), wording)
