"""`vla prompt show | render`: what a policy is told."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli.output import emit, hint, print_sections
from vla_cli.parser import example, make_group

app = make_group("What a policy is told: robot, sensors, task, sub-steps, what is seen.")

TokenizerDir = Annotated[
    Path | None,
    typer.Option("--tokenizer", metavar="DIR", help="Run of `vla model tokenizer`; counts tokens."),
]


@app.command("show", epilog=example("vla prompt show --data runs/reach --episode 3 --step 20"))
def show(
    data: o.Data,
    episode: Annotated[int, typer.Option("--episode", metavar="N", help="Number in its split.")] = 0,
    step: Annotated[int, typer.Option("--step", metavar="N", help="Step of the episode.")] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PART", help="Leave out: robot, cameras, checklist, state."),
    ] = None,
    past: Annotated[
        int, typer.Option("--past", metavar="N", min=0, help="Latest actions that are given.")
    ] = 0,
    poses: Annotated[bool, typer.Option("--poses", help="Tell intrinsics and poses of cameras.")] = False,
    tokenizer: TokenizerDir = None,
    budget: Annotated[
        int | None, typer.Option("--budget", metavar="N", min=1, help="Tokens it is to fit.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with the pictures.")
    ] = None,
    split: o.Split = "train",
    as_json: o.AsJson = False,
) -> None:
    """Show the prompt of an episode at a step."""
    from vla_data import open_episodes
    from vla_data.report import write_page
    from vla_model.prompt.episodes import parts_without
    from vla_model.prompt.showing import show

    parts = parts_without(without or (), past_steps=past, poses=poses)
    source = open_episodes(o.locate(data), split)
    shown = show(source, episode, step, parts, tokenizer=tokenizer, budget=budget)
    if out is not None:
        with tempfile.TemporaryDirectory() as media:
            write_page(out, "Prompt", shown.sections(Path(media)))
        hint(f"wrote {out}")
    emit(shown.to_dict(), as_json, lambda to: print_sections(to, shown.sections()))


@app.command("render", epilog=example("vla prompt render prompt.json"))
def render(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="What `vla prompt show --json` prints.")],
    tokenizer: TokenizerDir = None,
    as_json: o.AsJson = False,
) -> None:
    """Print the text of a prompt, and its tokens with --tokenizer."""
    from vla_model.prompt.showing import render

    text, tokens = render(file, tokenizer)

    def plain(to) -> None:
        to.print(text, markup=False, highlight=False, soft_wrap=True)
        if tokens is not None:
            to.print(*tokens, soft_wrap=True)

    emit({"text": text, "tokens": tokens}, as_json, plain)
