"""Progress lines: sparse, plain, with rate and time left."""

from __future__ import annotations

import io

import pytest

from vla_cli.progress import PlainLines, duration, progress
from vla_data.protocols import Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told."""
    now = [100.0]
    monkeypatch.setattr("vla_cli.progress.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (125, "2m05s"), (11400, "3h10m")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_lines_are_sparse_and_carry_rate_and_time_left(clock):
    stream = io.StringIO()
    lines = PlainLines(stream, every=10)
    for step in range(1001):
        lines(Progress("fit", step, 1000, "steps", {"loss": 0.5}))
        clock[0] += 0.0625
    lines.finish()
    shown = stream.getvalue().splitlines()
    assert shown[0] == "fit: 0/1,000 steps (0%), loss 0.5"
    assert shown[1] == "fit: 160/1,000 steps (16%), 16 steps/s, 52s left, loss 0.5"
    assert shown[-1] == "fit: 1,000/1,000 steps (100%), 16 steps/s, loss 0.5"
    assert len(shown) == 8
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_resumed_stage_counts_its_rate_from_where_it_went_on(clock):
    stream = io.StringIO()
    lines = PlainLines(stream, every=10)
    lines(Progress("fit", 900, 1000))
    clock[0] += 10
    lines(Progress("fit", 910, 1000))
    assert stream.getvalue().splitlines()[-1] == "fit: 910/1,000 steps (91%), 1 steps/s, 1m30s left"


def test_each_stage_ends_with_its_last_state_once(clock):
    stream = io.StringIO()
    lines = PlainLines(stream, every=10)
    lines(Progress("generate", 0, 2, "episodes"))
    lines(Progress("generate", 2, 2, "episodes"))
    lines(Progress("fit", 0, None, message="starting"))
    lines.finish()
    lines.finish()
    assert stream.getvalue().splitlines() == [
        "generate: 0/2 episodes (0%)",
        "generate: 2/2 episodes (100%)",
        "fit: starting",
    ]


def test_standard_error_that_is_no_terminal_gets_plain_lines(capsys):
    with progress() as on_progress:
        on_progress(Progress("read", 1, 2, "episodes"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "read: 1/2 episodes (50%)\n"


def test_bars_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("vla_cli.progress.sys.stderr", terminal)
    with progress() as on_progress:
        on_progress(Progress("fit", 0, 10))
        on_progress(Progress("fit", 10, 10, metrics={"loss": 0.25}))
        on_progress(Progress("codec", 0, None, message="starting"))
        on_progress(Progress("a stage", 1, 10, metrics={f"a long metric {i}": i for i in range(30)}))
    assert "10/10 steps (100%)" in terminal.getvalue()
    assert "codec: starting" in terminal.getvalue()
    assert terminal.getvalue().count("━") >= 24
    assert "loss 0.25" in terminal.getvalue()
