"""Small charts as SVG text: 360 wide, so that they are read on a phone as well as on a desk.

Colours are CSS variables of the page, so that charts follow its light and dark sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 360, 44, 10, 10, 34
ROW, LABELS = 18, 146  # of a chart of rows: height of one, width of their names


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: for the legend.
        x: shape (n,).
        y: same shape; NaN is left out.
        low: lower ends of a band, or None.
        high: upper ends, or None.
        tone: number of its colour, 0 to 4; 0 is the accent.
        joins: whether points are joined.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    tone: int = 0
    joins: bool = True


@dataclass(frozen=True)
class Row:
    """One row of a chart of rows: a value with an interval, or a bar from 0."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def ticks(low: float, high: float, n: int = 4) -> list[float]:
    """Round numbers within [low, high]: at least n - 1 of them, and few more."""
    if high - low < 1e-9:
        return [float(low)]
    power = 10.0 ** np.ceil(np.log10(high - low))
    steps = (f * power / ten for ten in (1, 10, 100) for f in (1.0, 0.5, 0.2))
    step = next(s for s in steps if _inner(low, high, s)[1] - _inner(low, high, s)[0] >= n - 2)
    first, last = _inner(low, high, step)
    return [float(round(i * step, 12)) for i in range(first, last + 1)]


def _inner(low: float, high: float, step: float) -> tuple[int, int]:
    """First and last multiple of a step within [low, high]."""
    return int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))


def line_chart(
    lines: Sequence[Line],
    title: str,
    height: int = 210,
    names: Sequence[str] | None = None,
    diagonal: bool = False,
    x_words: str = "",
) -> str:
    """Lines over numbers, or over named places.

    Args:
        lines: drawn in order, each with its band.
        title: what a screen reader says.
        height: of the whole chart.
        names: of the places 0, 1, ... on the x axis; None: numbers.
        diagonal: whether y = x is drawn.
        x_words: below the axis.
    """
    xs = np.concatenate([line.x for line in lines]).astype(float)
    ys = np.concatenate([v for line in lines for v in (line.y, line.low, line.high)
                         if v is not None])  # fmt: skip
    x_range, y_range = _padded(xs, 0.02), _padded(ys, 0.06)
    if diagonal:
        both = (min(x_range[0], y_range[0]), max(x_range[1], y_range[1]))
        x_range = y_range = both
    x_of = _Scale(x_range, LEFT, WIDTH - RIGHT)
    y_of = _Scale(y_range, height - BOTTOM, TOP)
    parts = [_y_axis(t, y_of(t), WIDTH - RIGHT) for t in ticks(*y_range)]
    parts += _x_names(names, x_of, height) if names else [
        _x_axis(t, x_of(t), height) for t in ticks(*x_range)
    ]  # fmt: skip
    if diagonal:
        ends = [(x_of(v), y_of(v)) for v in x_range]
        parts.append(_polyline(ends, "rule dash"))
    for line in lines:
        parts += _drawn(line, x_of, y_of)
    parts.append(
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{height - 3}" '
        f'text-anchor="middle">{escape(x_words)}</text>'
    )
    return _svg(height, title, parts)


def row_chart(rows: Sequence[Row], title: str, mark: float | None = None) -> str:
    """Named rows: dots with intervals where there are intervals, else bars from 0.

    Args:
        rows: from top to bottom.
        title: what a screen reader says.
        mark: where a rule is drawn, such as the mean of all.
    """
    height = TOP + ROW * len(rows) + BOTTOM - 12
    ends = [v for r in rows for v in (r.value, r.low, r.high) if v is not None]
    has_intervals = any(r.low is not None for r in rows)
    marks = [] if mark is None else [mark]
    low, high = _padded(np.array([*ends, *marks, *([] if has_intervals else [0.0])]), 0.05)
    x_of = _Scale((low if has_intervals else 0.0, high), LABELS, WIDTH - RIGHT - 4)
    parts = [_x_axis(t, x_of(t), height, TOP) for t in ticks(low, high, 3)]
    if mark is not None:
        parts.append(
            f'<line class="rule dash" x1="{x_of(mark):.1f}" x2="{x_of(mark):.1f}" y1="{TOP}" '
            f'y2="{height - BOTTOM + 14}"/>'
        )
    for number, row in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts.append(
            f'<text class="name" x="{LABELS - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(_short(row.name))}</text>"
        )
        parts += _interval(row, y, x_of) if row.low is not None else [_bar(row, y, x_of)]
    return _svg(height, title, parts)


def legend(lines: Sequence[Line]) -> str:
    """Names of lines beside their colours, as HTML."""
    keys = (
        f'<span><i class="key tone{line.tone}"></i>{escape(line.name)}</span>' for line in lines
    )
    return f'<p class="legend">{" ".join(keys)}</p>'


class _Scale:
    """Where a value stands between two ends."""

    def __init__(self, values: tuple[float, float], low: float, high: float) -> None:
        self._from, self._width = values[0], max(values[1] - values[0], 1e-12)
        self._low, self._high = low, high

    def __call__(self, value: float) -> float:
        return self._low + (value - self._from) / self._width * (self._high - self._low)


def _padded(values: np.ndarray, share: float) -> tuple[float, float]:
    known = values[np.isfinite(values.astype(float))].astype(float)
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = max((high - low) * share, 1e-6 * max(abs(high), 1.0), 1e-9)
    return low - room, high + room


def _drawn(line: Line, x_of: _Scale, y_of: _Scale) -> list[str]:
    tone, parts = f"tone{line.tone}", []
    known = np.isfinite(line.y.astype(float))
    if line.low is not None and line.high is not None:
        there = np.isfinite(line.low.astype(float)) & np.isfinite(line.high.astype(float))
        up = [(x_of(x), y_of(y)) for x, y in zip(line.x[there], line.high[there], strict=True)]
        down = [(x_of(x), y_of(y)) for x, y in zip(line.x[there], line.low[there], strict=True)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in up + down[::-1])
        parts.append(f'<polygon class="band {tone}" points="{points}"/>')
    at = [(x_of(x), y_of(y)) for x, y in zip(line.x[known], line.y[known], strict=True)]
    if line.joins:
        parts.append(_polyline(at, f"line {tone}"))
    if len(at) <= 40:
        parts += [f'<circle class="dot {tone}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in at]
    return parts


def _polyline(points: Sequence[tuple[float, float]], tone: str) -> str:
    return f'<polyline class="{tone}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _y_axis(value: float, y: float, right: float) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{value:g}</text>'
    )


def _x_axis(value: float, x: float, height: int, top: int | None = None) -> str:
    rule = "" if top is None else (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - BOTTOM + 14}"/>'
    )  # fmt: skip
    words = f"{value:g}" if abs(value) < 10_000 else f"{value:.0e}"
    y = height - BOTTOM + (15 if top is None else 26)
    return rule + f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{words}</text>'


def _x_names(names: Sequence[str], x_of: _Scale, height: int) -> list[str]:
    every = max(1, -(-len(names) // 7))
    return [
        f'<text class="tick" x="{x_of(i):.1f}" y="{height - BOTTOM + 15}" '
        f'text-anchor="middle">{escape(name)}</text>'
        for i, name in enumerate(names)
        if i % every == 0
    ]


def _interval(row: Row, y: float, x_of: _Scale) -> list[str]:
    low, high = x_of(row.low or 0.0), x_of(row.high or 0.0)
    return [
        f'<line class="line tone0" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<circle class="dot tone0" cx="{x_of(row.value):.1f}" cy="{y:.1f}" r="3.5"/>',
    ]


def _bar(row: Row, y: float, x_of: _Scale) -> str:
    left, right = sorted((x_of(0.0), x_of(row.value)))
    width = max(right - left, 0.5)
    return (
        f'<rect class="bar tone0" x="{left:.1f}" y="{y - 5:.1f}" '
        f'width="{width:.1f}" height="10" rx="2"/>'
    )


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
