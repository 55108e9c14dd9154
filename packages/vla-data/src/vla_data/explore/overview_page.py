"""All data sets of a machine on one page: sizes, lengths, rates, cameras, words, distributions, warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_data.charts import RowChart
from vla_data.errors import UnknownNameError, VlaError
from vla_data.explore.data_model import DataModel, inspect
from vla_data.explore.dataset_stats import DatasetStats, stats
from vla_data.explore.looks import gallery, save_pictures
from vla_data.explore.stats_page import left_out, rate
from vla_data.protocols import OnProgress, no_progress
from vla_data.report import Block, Section, Table, Text

SPLITS = ("train", "val", "test")  # the first of them that a data set has is looked at
WORDS = 16


@dataclass(frozen=True)
class Looked:
    """What was found out about one data set; only `failure` where it could not be read."""

    uri: str
    model: DataModel | None = None
    stats: DatasetStats | None = None
    failure: str = ""


def look_at(
    uris: Sequence[str | Path], on_progress: OnProgress = no_progress, *, skip_corrupt: bool = False
) -> list[Looked]:
    """Inspect data sets and take their statistics; one that cannot be read is reported, not raised."""
    return [_look(str(uri), on_progress, skip_corrupt) for uri in uris]


def _look(uri: str, on_progress: OnProgress, skip_corrupt: bool) -> Looked:
    failure = ""
    for split in SPLITS:
        try:
            (found,) = stats([uri], on_progress, split, skip_corrupt=skip_corrupt)
            return Looked(uri, inspect(uri, split, skip_corrupt=skip_corrupt), found)
        except UnknownNameError as error:
            failure = failure or str(error)
            if "split" not in error.message:
                break
        except VlaError as error:
            return Looked(uri, failure=str(error))
    return Looked(uri, failure=failure)


def report_sections(looked: Sequence[Looked], media: Path) -> list[Section]:
    """The page.

    Args:
        media: directory for the page's pictures.
    """
    fine = [(x.model, x.stats) for x in looked if x.model and x.stats]
    titles = _titles([s for _, s in fine])
    pairs = [(title, s) for title, (_, s) in zip(titles, fine, strict=True)]
    failed = [Text(f"Could not be read: {x.uri}: {x.failure.splitlines()[0]}.") for x in looked if x.failure]
    first = Section("Data sets", (*failed, *([_table(pairs)] if pairs else []), *_across(pairs)))
    warned = [Text(f"{title}: {w}") for title, (m, _) in zip(titles, fine, strict=True) for w in m.warnings]
    parts = [first, Section("Warnings", tuple(warned or [Text("Nothing odd was found.")]))]
    return parts + [
        _one(title, i, m, s, media) for i, (title, (m, s)) in enumerate(zip(titles, fine, strict=True))
    ]


def _titles(found: Sequence[DatasetStats]) -> list[str]:
    """Names as the page gives them; where two are alike, where they lie as well."""
    count = Counter((s.name, s.split) for s in found)
    return [
        f"{s.name} ({s.split})" if count[s.name, s.split] == 1 else f"{s.name} ({s.split}) at {s.uri}"
        for s in found
    ]


def _table(pairs: Sequence[tuple[str, DatasetStats]]) -> Table:
    columns = (
        "data set", "robot", "MB", "episodes", "steps", "Hz", "cameras", "action", "state", "instructions",
    )  # fmt: skip
    rows = tuple(
        (
            title,
            s.robot.name,
            f"{s.bytes / 1e6:,.1f}",
            f"{s.episodes:,}",
            f"{s.steps:,}",
            rate(s),
            ", ".join(f"{c.name} {c.width}×{c.height}" for c in s.cameras) or "none",
            f"{s.action.norm.dim if s.action else 0}",
            f"{s.state.norm.dim if s.state else 0}",
            f"{s.instructions:,}",
        )
        for title, s in pairs
    )
    return Table(columns, rows)


def _across(pairs: Sequence[tuple[str, DatasetStats]]) -> list[RowChart]:
    """One chart a number, data sets as rows; of a single data set there is nothing to compare."""
    if len(pairs) < 2:
        return []
    numbers = {
        "megabytes": [s.bytes / 1e6 for _, s in pairs],
        "episodes": [s.episodes for _, s in pairs],
        "steps": [s.steps for _, s in pairs],
        "median steps an episode": [s.lengths.median for _, s in pairs],
        "control rate, Hz (0: unknown)": [s.control_hz or 0.0 for _, s in pairs],
        "different instructions": [s.instructions for _, s in pairs],
    }
    names = tuple(title for title, _ in pairs)
    charts = [RowChart(title, names, tuple(map(float, values))) for title, values in numbers.items()]
    words: Counter[str] = Counter()
    for _, s in pairs:
        words.update(dict(s.common_words))
    return [*charts, _words("words of all instructions", words.most_common(WORDS))]


def _words(title: str, words: Sequence[tuple[str, int]]) -> RowChart:
    return RowChart(title, tuple(w for w, _ in words), tuple(float(n) for _, n in words))


def _one(title: str, index: int, model: DataModel, s: DatasetStats, media: Path) -> Section:
    hours = f", {s.steps / s.control_hz / 3600:.2g} h" if s.control_hz else ""
    about = f"{s.uri}; robot {s.robot.name}, {rate(s)} Hz{hours}. {model.standing.words()}"
    blocks: list[Block] = [Text(about), *(Text(w) for w in model.warnings), *(Text(t) for t in left_out(s))]
    if model.views:
        blocks.append(gallery(model.views, save_pictures(media, model.pictures, f"{index}-")))
    blocks.append(s.lengths.chart("steps"))
    if s.common_words:
        blocks.append(_words("words of instructions", s.common_words[:WORDS]))
    if s.common_instructions:
        rows = tuple((text, f"{count:,}") for text, count in s.common_instructions)
        blocks.append(Table(("instruction", "episodes"), rows, f"{s.instructions:,} different ones"))
    for what, series in (("Action", s.action), ("State", s.state)):
        if series:
            blocks.append(Text(f"{what}, {series.norm.count:,} steps:"))
            blocks += [d.chart(small=True) for d in series.spreads]
    return Section(title, tuple(blocks))
