"""Standard output carries data alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vla_cli import output
from vla_data.charts import BarChart
from vla_data.report import Code, Section, Table, Text

NOISY = """
import os, subprocess, sys
from vla_cli import output
from vla_cli.output import own_stdout, write_json
print("before")
with own_stdout():
    print("python noise")
    os.write(1, b"driver noise\\n")
    subprocess.run([sys.executable, "-c", "print('worker noise')"])
    write_json({"answer": 42})
    print("more noise")
print("after")
"""


def test_noise_of_libraries_drivers_and_workers_goes_to_standard_error():
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("before\n{")
    assert done.stdout.endswith("}\nafter\n")
    assert json.loads(done.stdout[len("before\n") : -len("after\n")]) == {"answer": 42}
    for words in ("python noise", "driver noise", "worker noise", "more noise"):
        assert words in done.stderr


@dataclass(frozen=True)
class Shown:
    where: Path
    loss: float
    counts: tuple[int, ...]


def test_json_of_dataclasses_arrays_and_numbers_json_does_not_know(capsys):
    value = {
        "shown": Shown(Path("a/b"), float("nan"), (1, 2)),
        "array": np.array([1.5, np.inf]),
        "scalar": np.float32(0.5),
        "nested": [{"x": -float("inf")}],
        "set": {"b", "a"},
    }
    output.write_json(value)
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text) == {
        "shown": {"where": "a/b", "loss": None, "counts": [1, 2]},
        "array": [1.5, None],
        "scalar": 0.5,
        "nested": [{"x": None}],
        "set": ["a", "b"],
    }


@pytest.fixture
def printed():
    stream = io.StringIO()
    return stream, output.console(stream)


def test_sections_are_printed_plain_and_plots_left_to_the_page(printed):
    stream, console = printed
    sections = [
        Section(
            "Robot [arm]",
            (
                Text("A robot of 4 dims."),
                Code("features/\n  step [x]"),
                Table(("camera", "width"), (("wrist", "64"), ("corner", "128"))),
                BarChart("plot", ("a",), ()),
            ),
        )
    ]
    output.print_sections(console, sections)
    text = stream.getvalue()
    assert "\x1b" not in text
    for words in ("Robot [arm]", "A robot of 4 dims.", "features/\n  step [x]", "wrist"):
        assert words in text
    assert "plot" not in text


def test_no_escape_codes_in_a_pipe_even_when_colour_is_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    output.print_sections(output.console(stream), [Section("Title", (Table(("a",), (("1",),)),))])
    assert "Title" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_columns_of_numbers_are_flush_right(printed):
    stream, console = printed
    output.print_table(console, ["name", "steps"], [["a", "5"], ["b", "1,000"]])
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert any(line.endswith("    5") for line in lines)


def window(width: int) -> tuple[io.StringIO, Console]:
    stream = io.StringIO()
    return stream, Console(file=stream, width=width, color_system=None)


def test_in_a_narrow_window_short_columns_stay_whole_and_nothing_is_lost():
    stream, console = window(60)
    rows = [["steps/observation", "uint8", "word " * 30, str(i)] for i in range(5)]
    output.print_table(console, ["key", "dtype", "example", "n"], rows)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert sum("steps/observation" in line for line in lines) == 5
    assert stream.getvalue().count("word") == 150


def test_few_rows_too_wide_for_the_window_are_turned():
    stream, console = window(40)
    output.print_table(console, [f"column {i}" for i in range(8)], [[f"value {i}" for i in range(8)]])
    lines = [line.split("   ") for line in stream.getvalue().splitlines()]
    assert ["column 7", "value 7"] in [[cell.strip() for cell in line] for line in lines]


def test_an_empty_table_is_its_heads(printed):
    stream, console = printed
    output.print_table(console, ["key", "value"], [])
    assert stream.getvalue().split()[:2] == ["key", "value"]


def test_long_cells_are_not_cut_in_a_pipe(printed):
    stream, console = printed
    name = "x" * 150
    output.print_table(console, ["name", "n"], [[name, "1"]])
    output.print_pairs(console, {"directory": "y" * 400})
    assert name in stream.getvalue()
    assert "y" * 400 in stream.getvalue()
