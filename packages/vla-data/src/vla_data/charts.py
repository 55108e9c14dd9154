"""Line, bar and histogram charts as inline SVG that follow the page's colours.

Small on purpose: the ground floor may not import a plotting library, and a page should hold its plots as
text that scales and prints.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

COLOURS = 6  # --c0 … --c5 of the page's style
LEFT, RIGHT, TOP, BOTTOM = 56, 22, 30, 42
LEGEND, NARROW = 24, 300
ROW, CHARACTER, VALUE = 20, 6.6, 70  # of a row chart: height, width of a letter, room for the number
SMALLEST_SPAN = 1e-300  # below it a step between ticks is no longer a normal number


@dataclass(frozen=True)
class Line:
    """A curve: y over x; `marks` puts a dot at every point."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    marks: bool = False


@dataclass(frozen=True)
class LineChart:
    """Curves over a common axis; `log_y` for values that span decades."""

    title: str
    lines: tuple[Line, ...]
    x_label: str = ""
    y_label: str = ""
    log_y: bool = False
    kind: Literal["lines"] = "lines"


@dataclass(frozen=True)
class Bars:
    """One value per category, with an interval where `low` and `high` are given."""

    name: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class BarChart:
    """Groups of bars side by side over categories."""

    title: str
    categories: tuple[str, ...]
    groups: tuple[Bars, ...]
    y_label: str = ""
    y_max: float | None = None
    kind: Literal["bars"] = "bars"


@dataclass(frozen=True)
class RowChart:
    """One bar a row with its name and value, for names too long to stand below bars."""

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    kind: Literal["rows"] = "rows"


@dataclass(frozen=True)
class Histogram:
    """Counts between consecutive edges (one more edge than counts); `small` for one of many."""

    title: str
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    x_label: str = ""
    small: bool = False
    kind: Literal["histogram"] = "histogram"


Chart = LineChart | BarChart | RowChart | Histogram


def render_chart(chart: Chart) -> str:
    """The chart as an SVG element."""
    if isinstance(chart, LineChart):
        return _lines(chart)
    if isinstance(chart, BarChart):
        return _bars(chart)
    return _rows(chart) if isinstance(chart, RowChart) else _histogram(chart)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers spread over [low, high], at most about `count` of them."""
    span = high - low
    if not SMALLEST_SPAN < span < math.inf:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * step for m in (1, 2, 5, 10) if m * step * count >= span * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, math.floor(high / step + 1e-9) + 1)]


class _Frame:
    """Axes: maps values to pixels and holds the SVG pieces drawn so far."""

    def __init__(
        self, title: str, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int]
    ) -> None:
        self.width, self.height = size
        self.extra = 0
        self.x_range, self.y_range = _widen(x), _widen(y)
        self.parts = [_text(LEFT, 16, title, "start", weight="600")]

    def px(self, x: float) -> float:
        low, high = self.x_range
        return LEFT + (x - low) / (high - low) * (self.width - LEFT - RIGHT)

    def py(self, y: float) -> float:
        low, high = self.y_range
        return self.height - BOTTOM - (y - low) / (high - low) * (self.height - TOP - BOTTOM)

    def y_axis(self, label: str, log: bool = False) -> None:
        for tick in ticks(*self.y_range):
            y = self.py(tick)
            self.parts.append(
                f'<line class="g" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.parts.append(_text(LEFT - 6, y + 4, f"{10**tick:.3g}" if log else f"{tick:g}", "end", "m"))
        if label:
            middle = (self.height - BOTTOM + TOP) / 2
            turned = f'transform="rotate(-90 12 {middle:.0f})"'
            self.parts.append(_text(12, middle, label, "middle", "m", extra=turned))

    def x_axis(self, label: str) -> None:
        for tick in ticks(*self.x_range, count=6 if self.width > NARROW else 3):
            self.parts.append(_text(self.px(tick), self.height - BOTTOM + 16, f"{tick:g}", "middle", "m"))
        self.parts.append(_text((LEFT + self.width - RIGHT) / 2, self.height - 8, label, "middle", "m"))

    def legend(self, names: Sequence[str]) -> None:
        """A row of its own below the plot, where it cannot run into the title."""
        x, y = float(LEFT), self.height + 12
        self.extra = LEGEND
        for i, name in enumerate(names):
            self.parts.append(f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{_colour(i)}"/>')
            self.parts.append(_text(x + 14, y, name, "start", "m"))
            x += 14 + 7 * len(name) + 12

    def svg(self) -> str:
        height = self.height + self.extra
        return (
            f'<svg viewBox="0 0 {self.width} {height}" width="{self.width}" height="{height}" '
            f'role="img">{"".join(self.parts)}</svg>'
        )


def _lines(chart: LineChart) -> str:
    lines = [(line.name, _finite(line, chart.log_y)) for line in chart.lines]
    points = [p for _, line in lines for p in line]
    xs, ys = [p[0] for p in points] or [0.0], [p[1] for p in points] or [0.0]
    frame = _Frame(chart.title, (min(xs), max(xs)), (min(ys), max(ys)), (500, 270))
    frame.y_axis(chart.y_label, chart.log_y)
    frame.x_axis(chart.x_label)
    if len(lines) > 1:
        frame.legend([name for name, _ in lines])
    for i, (_, line) in enumerate(lines):
        path = " ".join(f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in line)
        frame.parts.append(
            f'<polyline fill="none" stroke="{_colour(i)}" stroke-width="1.8" points="{path}"/>'
        )
        for x, y in line if chart.lines[i].marks else ():
            frame.parts.append(
                f'<circle cx="{frame.px(x):.1f}" cy="{frame.py(y):.1f}" r="3" fill="{_colour(i)}"/>'
            )
    return frame.svg()


def _bars(chart: BarChart) -> str:
    width = max(500, LEFT + RIGHT + 22 * len(chart.groups) * len(chart.categories))
    tops = [v for g in chart.groups for v in (*g.values, *g.high)]
    top = chart.y_max if chart.y_max is not None else max(tops, default=0.0) or 1.0
    frame = _Frame(chart.title, (0, max(1, len(chart.categories))), (0, top), (width, 270))
    frame.y_axis(chart.y_label)
    if len(chart.groups) > 1:
        frame.legend([g.name for g in chart.groups])
    bar = 0.8 / max(1, len(chart.groups))
    for c, category in enumerate(chart.categories):
        frame.parts.append(_text(frame.px(c + 0.5), frame.height - BOTTOM + 16, category, "middle", "m"))
        for g, group in enumerate(chart.groups):
            left, right = frame.px(c + 0.1 + g * bar), frame.px(c + 0.1 + (g + 0.92) * bar)
            y, base = frame.py(group.values[c]), frame.py(0)
            frame.parts.append(
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" '
                f'height="{max(0.0, base - y):.1f}" fill="{_colour(g)}"/>'
            )
            if group.low:
                middle, low, high = (left + right) / 2, frame.py(group.low[c]), frame.py(group.high[c])
                frame.parts.append(
                    f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                    'stroke="var(--fg)" stroke-width="1.3"/>'
                )
    return frame.svg()


def _rows(chart: RowChart) -> str:
    left = 20 + CHARACTER * max((len(name) for name in chart.names), default=0)
    width, height = max(330, left + 260), TOP + ROW * len(chart.names) + 6
    scale = (width - left - VALUE) / (max(chart.values, default=0.0) or 1.0)
    parts = [_text(8, 16, chart.title, "start", weight="600")]
    for i, (name, value) in enumerate(zip(chart.names, chart.values, strict=True)):
        y, bar = TOP + i * ROW, max(0.5, value * scale)
        parts.append(_text(left - 6, y + 13, name, "end", "m"))
        parts.append(
            f'<rect x="{left:.0f}" y="{y + 2}" width="{bar:.1f}" height="{ROW - 5}" fill="{_colour(0)}"/>'
        )
        parts.append(
            _text(left + bar + 5, y + 13, f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}", "start")
        )
    return (
        f'<svg viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" role="img">'
        f"{''.join(parts)}</svg>"
    )


def _histogram(chart: Histogram) -> str:
    top = max(chart.counts, default=0.0) or 1.0
    size = (235, 145) if chart.small else (330, 200)
    frame = _Frame(chart.title, (chart.edges[0], chart.edges[-1]), (0, top), size)
    frame.y_axis("")
    frame.x_axis(chart.x_label)
    for low, high, count in zip(chart.edges[:-1], chart.edges[1:], chart.counts, strict=True):
        left, right, y = frame.px(low), frame.px(high), frame.py(count)
        frame.parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{max(0.5, right - left - 0.5):.1f}" '
            f'height="{frame.py(0) - y:.1f}" fill="{_colour(0)}"/>'
        )
    return frame.svg()


def _finite(line: Line, log_y: bool) -> list[tuple[float, float]]:
    pairs = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return [(x, math.log10(y)) for x, y in pairs if y > 0] if log_y else pairs


def _widen(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    half = max(0.5, 1e-6 * abs(low))  # large enough to tell apart from a large value
    return (low, high) if high > low else (low - half, low + half)


def _colour(index: int) -> str:
    return f"var(--c{index % COLOURS})"


def _text(
    x: float, y: float, text: str, anchor: str, kind: str = "", weight: str = "", extra: str = ""
) -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' font-weight="{weight}"' if weight else "")
    escaped = html.escape(text)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes} {extra}>{escaped}</text>'
