"""`vla eval`: policies driving in closed loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.parser import example, make_group

if TYPE_CHECKING:
    from vla_model.evaluate import Arm

app = make_group("Closed-loop evaluation on benchmark simulators, with intervals.")

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="DIR", help="Checkpoint of `vla model finetune`: OUT or OUT/checkpoint."
    ),
]
Baseline = Annotated[
    Literal["expert", "random"] | None, typer.Option("--policy", help="A driver without a checkpoint.")
]


Wording = Annotated[
    Literal["train", "unseen", "permuted"],
    typer.Option(
        "--wording", help="Instructions: as trained, wordings kept out of training, or of other tasks."
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
    workers: o.Workers = None,
    preset: o.PresetName = "default",
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Drive Meta-World tasks from placements no training has seen."""
    from vla_model.eval_report import run_evaluation
    from vla_model.evaluate import PRESETS

    arm = _arm(checkpoint, policy, wording)
    names = o.split_names(tasks)
    chosen = o.make_config(PRESETS, preset, config, set_, sim="metaworld", tasks=names, trials=episodes)
    stages.run(
        "evaluate",
        out,
        {"evaluation": chosen, "policy": policy or "checkpoint", "wording": wording},
        stages.input_stages(arm.policy) if checkpoint else [],
        lambda on: run_evaluation((arm,), chosen, out, workers=workers, on_progress=on),
        as_json,
        tables=True,
    )


def _arm(checkpoint: Path | None, policy: str | None, wording: Literal["train", "unseen", "permuted"]) -> Arm:
    """The one row of the table: exactly one of a checkpoint and a named driver."""
    from vla_data.errors import CheckpointError, ConfigError
    from vla_model.evaluate import Arm

    if (checkpoint is None) == (policy is None):
        raise ConfigError(
            "say who drives: exactly one of --checkpoint and --policy",
            where="vla eval metaworld",
            next_step="vla eval metaworld --checkpoint RUN --tasks … --out DIR",
        )
    if checkpoint is None:
        return Arm(str(policy), str(policy), wording)
    inner = checkpoint / "checkpoint"
    found = inner if inner.is_dir() else checkpoint
    if not found.is_dir():
        raise CheckpointError(
            "there is no checkpoint here",
            where=str(checkpoint),
            next_step="make one: vla model finetune --help",
        )
    return Arm("policy", str(found), wording)
