"""Charts of lines with bands, as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.report.svg import RIGHT, WIDTH, Scale, dot, padded, rule, svg, text, tick_words, ticks

LEFT, TOP, TICKS, WORDS = 40, 26, 20, 16  # heights of what stands above and below
PLOT = 150  # height of the lines' own part
MOST_DOTS = 40  # of a line


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        x: shape (n,).
        y: same shape; NaN is left out.
        low: lower ends of a band, or None.
        high: upper ends, or None.
        tone: number of its colour, 0 to 2; 0 is the accent.
        joins: whether points are joined.
    """

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    tone: int = 0
    joins: bool = True


def line_chart(
    lines: Sequence[Line],
    title: str,
    x_words: str,
    y_words: str,
    names: Sequence[str] = (),
    diagonal: bool = False,
) -> str:
    """Lines over numbers, or over named places.

    Args:
        lines: the first is drawn last, above the others; each with its band.
        title: what a screen reader says.
        x_words: below the x axis, or nothing.
        y_words: above the y axis.
        names: of the places 0, 1, ... on the x axis; none: numbers.
        diagonal: whether y = x is drawn.
    """
    xs = np.concatenate([line.x for line in lines]).astype(float)
    ys = np.concatenate([v for line in lines for v in (line.y, line.low, line.high)
                         if v is not None])  # fmt: skip
    x_range, y_range = padded(xs, 0.02), padded(ys, 0.06)
    if diagonal:
        x_range = y_range = (min(x_range[0], y_range[0]), max(x_range[1], y_range[1]))
    x_of = Scale(x_range, LEFT, WIDTH - RIGHT)
    y_of = Scale(y_range, TOP + PLOT, TOP)
    parts = [text("tick", 0, 12, y_words), *_y_axis(y_range, y_of)]
    parts += _x_axis(_named(names) if names else _numbers(x_range), x_of)
    if diagonal:
        parts.append(_polyline([(x_of(v), y_of(v)) for v in x_range], "rule dash"))
    for line in reversed(lines):
        parts += _drawn(line, x_of, y_of)
    if x_words:
        parts.append(text("tick", WIDTH - RIGHT, TOP + PLOT + TICKS + 11, x_words, "end"))
    return svg(TOP + PLOT + TICKS + (WORDS if x_words else 0), title, parts)


def _drawn(line: Line, x_of: Scale, y_of: Scale) -> list[str]:
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
    if len(at) <= MOST_DOTS:
        parts += [dot(line.tone, x, y, 2.5) for x, y in at]
    return parts


def _polyline(points: Sequence[tuple[float, float]], tone: str) -> str:
    return f'<polyline class="{tone}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _y_axis(values: tuple[float, float], y_of: Scale) -> list[str]:
    places = ticks(*values)
    return [
        rule("grid", (LEFT, WIDTH - RIGHT), (y_of(v), y_of(v)))
        + text("tick", LEFT - 6, y_of(v) + 3.5, words, "end")
        for v, words in zip(places, tick_words(places), strict=True)
    ]


def _numbers(values: tuple[float, float]) -> list[tuple[float, str]]:
    places = ticks(*values)
    return list(zip(places, tick_words(places), strict=True))


def _named(names: Sequence[str]) -> list[tuple[float, str]]:
    every = max(1, -(-len(names) // 7))
    return [(i, name) for i, name in enumerate(names) if i % every == 0]


def _x_axis(places: Sequence[tuple[float, str]], x_of: Scale) -> list[str]:
    return [text("tick", x_of(x), TOP + PLOT + 15, words, "middle") for x, words in places]
