"""Text to learn from: files, directories and parquet, as documents, some of them held out.

A document is a file, or a row of a parquet file. What is held out is decided by a document's own content, so
that it is the same whatever else is read beside it, and the same text never stands on both sides. A long
document is cut into parts first: one book gives something to hold out too.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.protocols import OnProgress, Progress, no_progress

PART = 20_000  # characters; about where a longer document is cut, at the end of a line
ENDINGS = (
    ".txt", ".text", ".md", ".rst", ".pod", ".html", ".tex", ".org",
    ".py", ".json", ".jsonl", ".csv", ".parquet",
)  # fmt: skip
TEXT_COLUMNS = ("text", "content", "document")
BUCKETS = 1000


@dataclass(frozen=True)
class Corpus:
    """Documents to train on, and held-out ones.

    Args:
        skipped: files that hold no text.
    """

    train: tuple[str, ...]
    held: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def train_bytes(self) -> int:
        """UTF-8 bytes of what is trained on."""
        return sum(len(d.encode()) for d in self.train)


def read_corpus(
    paths: Sequence[Path], holdout: float = 0.02, on_progress: OnProgress = no_progress
) -> Corpus:
    """Read text.

    Args:
        paths: files, or directories to look through; `.gz` is opened.
        holdout: share held out, at least one part.

    Raises:
        DataError: a file that was named is missing or no text, or there is too little text to hold any out.
        ConfigError: the share is not between 0 and 1.
    """
    if not 0 < holdout < 1:
        raise ConfigError("no such share", where="holdout", expected="above 0, below 1", got=str(holdout))
    files = list(_files(paths))
    parts: dict[str, None] = {}
    skipped = []
    for done, (path, named) in enumerate(files):
        texts = list(_documents(path, named))
        skipped += [] if any(texts) else [str(path)]
        parts.update(dict.fromkeys(part for text in texts for part in cut(text)))
        on_progress(Progress("read", done + 1, len(files), "files"))
    train, held = split(list(parts), holdout)
    if not train or not held:
        raise DataError(
            "there is too little text",
            where=", ".join(map(str, paths)),
            expected=f"two parts of about {PART:,} characters",
            got=f"{len(parts)} in {len(files)} files",
            next_step="name files or directories with more text: --text PATH",
        )
    return Corpus(tuple(train), tuple(held), tuple(skipped))


def split(parts: Sequence[str], holdout: float) -> tuple[list[str], list[str]]:
    """What is trained on and what is held out, by a digest of each part; at least one is held out."""
    buckets = [int.from_bytes(hashlib.sha256(p.encode()).digest()[:4], "big") % BUCKETS for p in parts]
    limit = max(holdout * BUCKETS, min(buckets, default=0) + 0.5)
    train = [p for p, b in zip(parts, buckets, strict=True) if b >= limit]
    return train, [p for p, b in zip(parts, buckets, strict=True) if b < limit]


def cut(text: str) -> Iterator[str]:
    """Parts of about `PART` characters, cut after a line where there is one."""
    start = 0
    while start < len(text):
        stop = start + PART
        if len(text) - stop > PART // 2:
            line = text.find("\n", stop, stop + PART // 2)
            stop = line + 1 if line >= 0 else stop
        else:
            stop = len(text)
        yield text[start:stop]
        start = stop


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Every file, and whether it was named itself."""
    for path in paths:
        if path.is_dir():
            found = (p for p in sorted(path.rglob("*")) if p.is_file())
            yield from ((p, False) for p in found if _plain(p).suffix.lower() in ENDINGS)
        elif path.is_file():
            yield path, True
        else:
            raise DataError("there is no such text", where=str(path), expected="a file or directory")


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".gz" else path


def _documents(path: Path, named: bool) -> Iterator[str]:
    if path.suffix == ".parquet":
        yield from _rows(path)
        return
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield raw.decode("utf-8")
    except (UnicodeDecodeError, OSError, EOFError) as error:
        if named:
            raise DataError(
                "a file holds no text", where=str(path), expected="UTF-8", got=str(error)
            ) from error
        yield ""


def _rows(path: Path) -> Iterator[str]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError(
            "reading parquet needs pyarrow", where=str(path), next_step='pip install "vla-model[parquet]"'
        ) from error
    try:
        file = parquet.ParquetFile(path)
        column = next((c for c in TEXT_COLUMNS if c in file.schema_arrow.names), None)
        if column is None:
            raise DataError(
                "a parquet file has no column of text",
                where=str(path),
                expected="one of " + ", ".join(TEXT_COLUMNS),
                got=", ".join(file.schema_arrow.names),
            )
        for batch in file.iter_batches(columns=[column]):
            yield from (t for t in batch.column(0).to_pylist() if t)
    except (OSError, ValueError) as error:
        raise DataError("a parquet file cannot be read", where=str(path), got=str(error)) from error
