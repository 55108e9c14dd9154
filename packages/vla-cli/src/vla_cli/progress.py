"""Progress on standard error: a bar with rate and time left on a terminal, sparse plain lines in a pipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from vla_cli.main import colour_wanted

if TYPE_CHECKING:
    from vla_data.protocols import OnProgress, Progress

LINE_SECONDS = 10.0
BAR_WIDTH = 24


@contextmanager
def progress(quiet: bool = False) -> Iterator[OnProgress]:
    """A callback that draws; `quiet` draws nothing."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _Bars() as bars:
            yield bars
    else:
        lines = PlainLines(sys.stderr)
        try:
            yield lines
        finally:
            lines.finish()


class Rate:
    """Speed and time left of one stage, from when this process saw it first (a resumed one starts late)."""

    def __init__(self, done: float, now: float) -> None:
        self.first, self.began = done, now

    def per_second(self, done: float, now: float) -> float:
        return (done - self.first) / (now - self.began) if now > self.began else 0.0

    def describe(self, progress: Progress, now: float) -> str:
        """Such as "1,200/2,300 steps (52%), 14 steps/s, 1m20s left, loss 0.02"."""
        done, total, unit = progress.done, progress.total, progress.unit
        if is_heading(progress):
            return progress.message
        parts = [f"{done:,.0f} {unit}"]
        if total:
            parts = [f"{done:,.0f}/{total:,.0f} {unit} ({100 * done / total:.0f}%)"]
        speed = self.per_second(done, now)
        if speed > 0:
            parts.append(f"{speed:,.3g} {unit}/s")
            if total and done < total:
                parts.append(f"{duration((total - done) / speed)} left")
        return ", ".join([*parts, *_extras(progress)])


class PlainLines:
    """One line when a stage begins and ends, and one every few seconds between."""

    def __init__(self, stream: TextIO, every: float = LINE_SECONDS) -> None:
        self.stream, self.every = stream, every
        self.last: Progress | None = None
        self.rate = Rate(0, 0)
        self.printed = 0.0
        self.shown: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self.last is None or progress.stage != self.last.stage:
            self.finish()
            self.rate = Rate(progress.done, now)
            self._print(progress, now)
        elif now - self.printed >= self.every:
            self._print(progress, now)
        self.last = progress

    def finish(self) -> None:
        """Say where the last stage ended, unless that was said already."""
        if self.last is not None and self.last is not self.shown:
            self._print(self.last, time.monotonic())
        self.last = None

    def _print(self, progress: Progress, now: float) -> None:
        print(f"{progress.stage}: {self.rate.describe(progress, now)}", file=self.stream, flush=True)
        self.printed, self.shown = now, progress


class _Bars:
    """One live bar a stage; finished bars stay on the screen, under their heading."""

    def __init__(self) -> None:
        from rich.console import Console

        colours = "auto" if colour_wanted(sys.stderr) else None
        self.console = Console(file=sys.stderr, color_system=colours, highlight=False)
        self._begin()

    def _begin(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        name, words = "{task.description}", "{task.fields[words]}"
        columns = (TextColumn(name, markup=False), BarColumn(BAR_WIDTH), TextColumn(words, markup=False))
        self.live = Progress(*columns, console=self.console, redirect_stdout=False)
        self.stages: dict[str, tuple[Any, Rate]] = {}

    def __enter__(self) -> _Bars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if is_heading(progress):
            self.live.stop()
            self.console.print(f"{progress.stage}: {progress.message}", style="bold", markup=False)
            self._begin()
            self.live.start()
            return
        if progress.stage not in self.stages:
            task = self.live.add_task(progress.stage, words="")
            self.stages[progress.stage] = (task, Rate(progress.done, now))
        task, rate = self.stages[progress.stage]
        room = self.console.width - BAR_WIDTH - max(map(len, self.stages)) - 4
        words = rate.describe(progress, now)[:room]
        self.live.update(task, completed=progress.done, total=progress.total, words=words)


def duration(seconds: float) -> str:
    """Such as "45s", "2m05s", "3h10m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def is_heading(progress: Progress) -> bool:
    """Whether this only says that something begins."""
    return progress.total is None and progress.done == 0 and bool(progress.message)


def _extras(progress: Progress) -> list[str]:
    metrics = [f"{name} {value:.4g}" for name, value in progress.metrics.items()]
    return [*metrics, *([progress.message] if progress.message else [])]
