"""Labels for a whole data set: a copy that carries them, or a file beside it, and checklists to read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vla_data.files import atomic_path
from vla_data.formats import open_episodes
from vla_data.label.checklists import checklist
from vla_data.label.labellers import Closing, LabelConfig, make_labeller
from vla_data.label.scores import segment_f1
from vla_data.protocols import OnProgress, Progress, no_progress
from vla_data.rewriting import CopyConfig, Item, rewrite, skipped_summary
from vla_data.types import Episode, SubStep
from vla_data.usable import Requirements, Skipped, usable_episodes

SIDECAR = "substeps.jsonl"


@dataclass(frozen=True)
class LabelOptions:
    """What is made of the labels.

    Args:
        sidecar: write `substeps.jsonl` instead of a copy of the data set.
        checklists: a Markdown file with the sub-steps of every episode; None: none.
        skip_corrupt: leave out episodes that cannot be used, and count them.
        workers: processes that write.
        engine: what runs them (`vla_data.engines`).
    """

    sidecar: bool = False
    checklists: Path | None = None
    skip_corrupt: bool = False
    workers: int | None = None
    engine: str = "pool"


def label_dataset(
    uri: str,
    out: Path,
    config: LabelConfig | None = None,
    options: LabelOptions | None = None,
    *,
    split: str = "train",
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Label every usable episode of a split and write what came of it below `out`.

    Sub-steps that an episode carried are replaced; how far the new ones agree with them is counted.

    Returns:
        directory or sidecar, episodes, steps, substeps, skipped and its reasons, and where episodes carried
        sub-steps, `f1_with_old`, the mean F1@50 with those.

    Raises:
        DataError: an episode cannot be used and `skip_corrupt` is off, or none is left.
        ProviderError: an outside labeller failed.
    """
    options, skipped, found = options or LabelOptions(), list[Skipped](), _Labels()
    for index, episode, steps in _labelled(
        uri, split, config or LabelConfig(), options, skipped, on_progress
    ):
        found.add(index, episode, steps, options.checklists is not None)
    if options.sidecar:
        written = _write_sidecar(Path(out) / SIDECAR, found.lines)
    else:
        how = CopyConfig(skip_corrupt=options.skip_corrupt, workers=options.workers, engine=options.engine)
        told = {"skipped": skipped, "on_progress": on_progress}
        written = rewrite(uri, split, out, found.items, with_substeps, how, **told)
    if options.checklists is not None:
        _write_text(options.checklists, "\n".join(found.checklists))
    return {**written, "substeps": found.substeps, **found.agreement, **skipped_summary(skipped)}


class _Labels:
    """What is kept of the labelled episodes: no array of them."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.lines: list[dict[str, Any]] = []
        self.checklists: list[str] = []
        self.substeps = 0
        self._scores: list[float] = []

    def add(self, index: int, episode: Episode, steps: tuple[SubStep, ...], listed: bool) -> None:
        self.items.append((index, steps))
        self.lines.append(_line(index, episode, steps))
        self.substeps += len(steps)
        if episode.substeps:
            self._scores.append(segment_f1(steps, episode.substeps))
        if listed:
            self.checklists.append(checklist(replace(episode, substeps=steps)))

    @property
    def agreement(self) -> dict[str, float]:
        """`f1_with_old` where episodes carried sub-steps before, else nothing."""
        scores = self._scores
        return {"f1_with_old": sum(scores) / len(scores)} if scores else {}


def with_substeps(episode: Episode, steps: Sequence[SubStep]) -> list[Episode]:
    """The episode with these sub-steps."""
    return [replace(episode, substeps=tuple(steps))]


def _labelled(
    uri: str,
    split: str,
    config: LabelConfig,
    options: LabelOptions,
    skipped: list[Skipped],
    on_progress: OnProgress,
) -> Iterator[tuple[int, Episode, tuple[SubStep, ...]]]:
    reader, labeller = open_episodes(uri, split), make_labeller(config)
    usable = usable_episodes(
        reader,
        Requirements(),
        images=labeller.needs_images,
        skip_corrupt=options.skip_corrupt,
        skipped=skipped,
    )
    on_progress(Progress("label", 0, len(reader), "episodes"))
    try:
        for index, episode in usable:
            yield index, episode, labeller.label(episode)
            on_progress(Progress("label", index + 1, len(reader), "episodes"))
    finally:
        if isinstance(labeller, Closing):
            labeller.close()


def _line(index: int, episode: Episode, steps: Sequence[SubStep]) -> dict[str, Any]:
    return {
        "index": index,
        "id": episode.id,
        "instruction": episode.instruction,
        "steps": len(episode),
        "substeps": [{"start": s.start, "stop": s.stop, "text": s.text} for s in steps],
    }


def _write_sidecar(path: Path, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    _write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    steps = sum(line["steps"] for line in lines)
    return {"sidecar": os.fspath(path), "episodes": len(lines), "steps": steps}


def _write_text(path: Path, text: str) -> None:
    with atomic_path(Path(path)) as part:
        part.write_text(text, encoding="utf-8")
