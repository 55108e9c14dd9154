"""Charts: round ticks inside the range, and SVG whose marks stand where the numbers say."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vla_data.charts import COLOURS, BarChart, Bars, Histogram, Line, LineChart, render_chart, ticks

VALUES = st.floats(allow_nan=False, allow_infinity=False, width=32)


def svg(chart: LineChart | BarChart | Histogram) -> ElementTree.Element:
    return ElementTree.fromstring(render_chart(chart))


def rects(element: ElementTree.Element) -> list[dict[str, float]]:
    keys = ("x", "y", "width", "height")
    return [{k: float(r.attrib[k]) for k in keys} for r in element.iter("rect")]


@given(st.floats(-1e30, 1e30), st.floats(1e-25, 1e30), st.integers(2, 10))
def test_ticks_are_few_round_rising_and_inside(low: float, span: float, count: int):
    high = low + span
    assume(high - low > 1e-9 * max(abs(low), abs(high)))
    found = ticks(low, high, count)
    slack = 1e-6 * (high - low) + 1e-11 * max(abs(low), abs(high))
    assert 1 <= len(found) <= count + 1
    assert all(low - slack <= t <= high + slack for t in found)
    gaps = [b - a for a, b in pairwise(found)]
    assert all(g > 0 for g in gaps)
    if gaps and abs(low) < 1e6 * span:
        exponent = math.floor(math.log10(gaps[0]) + 1e-6)
        assert round(gaps[0] / 10**exponent, 3) in (1, 2, 5)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 97, [0, 20, 40, 60, 80]),
        (-3, 3, [-2, 0, 2]),
        (0, 3e-13, [0, 1e-13, 2e-13, 3e-13]),
        (5, 5, [5]),
        (3, 1, [3]),
        (0, math.inf, [0]),
        (0, 5e-324, [0]),
    ],
)
def test_ticks_by_example(low: float, high: float, expected: list[float]):
    assert ticks(low, high) == expected


@given(
    st.lists(st.lists(st.tuples(VALUES, VALUES), max_size=6), max_size=4),
    st.booleans(),
)
def test_any_curves_draw_inside_the_frame(curves: list[list[tuple[float, float]]], log_y: bool):
    lines = tuple(Line(f"l{i}", tuple(x for x, _ in c), tuple(y for _, y in c)) for i, c in enumerate(curves))
    element = svg(LineChart("t", lines, log_y=log_y))
    width, height = float(element.attrib["width"]), float(element.attrib["height"])
    shown = list(element.iter("polyline"))
    assert len(shown) == len(curves)
    for curve, line in zip(curves, shown, strict=True):
        points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
        assert len(points) == sum(y > 0 or not log_y for _, y in curve)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_higher_values_stand_higher():
    element = svg(LineChart("t", (Line("a", (0, 1, 2), (1.0, 3.0, 2.0)),)))
    points = [tuple(map(float, p.split(","))) for p in element.find("polyline").attrib["points"].split()]  # type: ignore[union-attr]
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[1][1] < points[2][1] < points[0][1]


def test_what_is_not_a_number_is_left_out():
    chart = LineChart("t", (Line("a", (0, 1, 2, 3), (1.0, math.nan, math.inf, 2.0)),))
    assert len(svg(chart).find("polyline").attrib["points"].split()) == 2  # type: ignore[union-attr]
    assert "nan" not in render_chart(chart)


def test_a_log_axis_is_labelled_with_values():
    text = render_chart(LineChart("t", (Line("a", (0, 1), (1e-3, 1e1)),), log_y=True))
    assert {"0.001", "0.01", "0.1", "1", "10"} <= set(re.findall(r">([^<]*)</text>", text))


def test_bars_are_as_high_as_their_values():
    chart = BarChart("t", ("a", "b"), (Bars("x", (1.0, 0.5)), Bars("y", (0.0, 0.25))), y_max=1.0)
    bars = [r for r in rects(svg(chart)) if (r["width"], r["height"]) != (10, 10)]
    heights = [b["height"] for b in bars]
    assert heights == pytest.approx([heights[0], 0, heights[0] / 2, heights[0] / 4], abs=0.2)
    bottoms = {round(b["y"] + b["height"]) for b in bars}
    assert len(bottoms) == 1
    assert bars == sorted(bars, key=lambda b: b["x"])


def test_intervals_are_drawn_around_their_bars():
    chart = BarChart("t", ("a",), (Bars("x", (0.5,), (0.3,), (0.9,)),), y_max=1.0)
    element = svg(chart)
    (bar,) = rects(element)
    (whisker,) = [e for e in element.iter("line") if "stroke" in e.attrib]
    low, high = float(whisker.attrib["y1"]), float(whisker.attrib["y2"])
    assert high < bar["y"] < low < bar["y"] + bar["height"]
    assert bar["x"] < float(whisker.attrib["x1"]) < bar["x"] + bar["width"]


def test_histogram_bins_are_as_wide_as_their_edges_and_as_high_as_their_counts():
    one, two = rects(svg(Histogram("t", (0.0, 1.0, 4.0), (2, 1))))
    assert two["width"] / one["width"] == pytest.approx(3, abs=0.1)
    assert one["height"] / two["height"] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    "chart",
    [
        LineChart("t", ()),
        LineChart("t", (Line("a", (), ()),)),
        LineChart("t", (Line("a", (1,), (1,)),)),
        BarChart("t", (), ()),
        BarChart("t", ("a",), ()),
        BarChart("t", ("a",), (Bars("x", (0.0,)),)),
        Histogram("t", (0.0, 1.0), (0,)),
    ],
)
def test_charts_of_next_to_nothing_are_still_charts(chart: LineChart | BarChart | Histogram):
    element = svg(chart)
    assert "".join(element.itertext()).startswith("t")
    assert "nan" not in ElementTree.tostring(element, "unicode")


def test_more_curves_than_colours_start_over():
    lines = tuple(Line(f"l{i}", (0, 1), (0, i)) for i in range(COLOURS + 1))
    strokes = [p.attrib["stroke"] for p in svg(LineChart("t", lines)).iter("polyline")]
    assert strokes[0] == strokes[COLOURS]
    assert len(set(strokes)) == COLOURS
