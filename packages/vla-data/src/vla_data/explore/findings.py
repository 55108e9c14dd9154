"""What is odd about a data set: things that train without complaint and spoil the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vla_data.errors import DataError
from vla_data.explore.looks import Looks
from vla_data.explore.series_checks import SeriesChecks
from vla_data.formats import open_episodes
from vla_data.formats.describe import DescribedReader
from vla_data.usable import ANY, Skipped, usable_episodes


def find_warnings(
    reader: DescribedReader,
    uri: str | Path,
    split: str,
    splits: Sequence[str],
    looks: Looks,
    skip_corrupt: bool,
) -> tuple[str, ...]:
    """Every warning about a split, most serious first.

    Raises:
        DataError: an episode is damaged, and `skip_corrupt` is off.
    """
    skipped: list[Skipped] = []
    checks = SeriesChecks(reader.robot)
    for index, episode in usable_episodes(reader, ANY, skip_corrupt=skip_corrupt, skipped=skipped):
        checks.add(index, episode)
    found = [*_damaged([*skipped, *looks.skipped]), *checks.warnings(reader.rate_assumed), *looks.warnings()]
    found += _split_warnings(reader, uri, split, [s for s in splits if s != split])
    return tuple(found)


def _damaged(skipped: Sequence[Skipped]) -> Iterator[str]:
    kinds: dict[str, set[int]] = {}
    for note in skipped:
        kinds.setdefault(note.kind, set()).add(note.index)
    for kind, indices in kinds.items():
        yield f"{len(indices)} of the episodes cannot be read: {kind}; the first is {min(indices)}"


def _split_warnings(
    reader: DescribedReader, uri: str | Path, split: str, others: Sequence[str]
) -> Iterator[str]:
    own = Counter(reader.checksums())
    for other in others:
        try:
            theirs = Counter(open_episodes(uri, other).checksums())
        except DataError as error:
            yield f"split {other} cannot be read: {error.message}"
            continue
        shared = sum((own & theirs).values())
        if own and own == theirs:
            yield f"split {other} is the same {shared} episodes as {split}: it validates nothing"
        elif shared:
            yield f"{shared} episodes of split {other} are in {split} as well"
    repeated = sum(n - 1 for n in own.values())
    if repeated:
        yield f"{repeated} episodes of {split} are exact copies of others"
