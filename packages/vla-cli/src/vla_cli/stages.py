"""One command, one stage: a run directory with a manifest, skipped when up to date, resumed when not done."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_cli.errors import InterruptedRunError
from vla_cli.output import emit, hint, print_pairs, print_sections
from vla_cli.progress import duration, progress

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress
    from vla_data.report import Section

Work = Callable[["OnProgress"], tuple[dict[str, Any], list["Section"]]]


@contextmanager
def resumable(out: Path) -> Iterator[OnProgress]:
    """Draw the progress of work on `out`; Ctrl-C says how to go on."""
    from vla_data.pool import is_helper
    from vla_data.protocols import no_progress

    if is_helper():
        yield no_progress
        return
    try:
        with progress() as on_progress:
            yield on_progress
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted", where=str(out), next_step="run the same command again: it resumes where it stopped"
        ) from None


def run(
    name: str,
    out: Path,
    config: Any,
    inputs: Sequence[Path],
    work: Work,
    as_json: bool,
    tables: bool = False,
) -> None:
    """Do a stage with progress drawn, then print what came out: its summary, or the first part of its page.

    Raises:
        InterruptedRunError: Ctrl-C; what was done so far is in `out`.
    """
    from vla_data.report import load_sections
    from vla_data.runs import Stage, run_stage

    with resumable(out) as on_progress:
        result = run_stage(Stage(name, out, config, tuple(inputs), lambda: work(on_progress)))
    manifest = result.manifest
    outcome = {
        "stage": name,
        "directory": str(out),
        "skipped": result.skipped,
        "seconds": manifest.seconds,
        "summary": manifest.summary,
    }
    if tables:
        emit(outcome, as_json, lambda to: print_sections(to, load_sections(out)[:1]))
    else:
        emit(outcome, as_json, lambda to: print_pairs(to, {"run": out, **manifest.summary}))
    said = "was up to date, made" if result.skipped else "done"
    hint(f"{name}: {said} in {duration(manifest.seconds)}; its page: vla report {shlex.quote(str(out))}")


def with_source(config: Any, data: str, split: str) -> dict[str, Any]:
    """A stage's whole configuration; a data set no stage made is known by its path."""
    path = "" if input_stages(data) else data
    return {"data": path, "split": split, "config": config}


def input_stages(*paths: str | Path) -> list[Path]:
    """The stage directories these paths lie in; a data set that no stage made has none."""
    found = []
    for path in map(Path, paths):
        above = [path, *path.absolute().parents[:3]] if path.exists() else []
        found += [d for d in above if (d / "manifest.json").is_file()][:1]
    return found
