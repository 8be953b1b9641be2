"""Charts of named rows, as SVG text: dots with intervals, or bars from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.report.svg import RIGHT, WIDTH, Scale, dot, padded, rule, svg, text, tick_words, ticks

TOP, BOTTOM, ROW, APART = 6, 22, 19, 6  # APART: of the values of one row
GAP, MOST_LABEL = 10, 190
LETTER = 6.3  # width of one


@dataclass(frozen=True)
class Span:
    """A value with its interval, or alone."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a chart.

    Attributes:
        name: on the left.
        spans: each of its own colour, the accent first.
        n: a number beside the name, or None.
    """

    name: str
    spans: tuple[Span, ...]
    n: int | None = None


@dataclass(frozen=True)
class Frame:
    """Where charts of rows have their names, counts and values.

    Attributes:
        letters: of a name, at most.
        left: where the values begin.
        low: value that stands there.
        high: value at the right end.
    """

    letters: int
    left: float
    low: float
    high: float

    @classmethod
    def of(cls, rows: Sequence[Row], mark: float | None = None) -> Frame:
        """One that holds all these rows, which may be of several charts, and the mark."""
        spans = [s for row in rows for s in row.spans]
        ends = [v for s in spans for v in (s.value, s.low, s.high, mark) if v is not None]
        is_bars = all(s.low is None for s in spans)
        low, high = padded(np.array([*ends, 0.0] if is_bars else ends), 0.04)
        n_width = max((len(_count(r)) for r in rows), default=0) * LETTER
        letters = max((len(r.name) for r in rows), default=0)
        letters = min(letters, int((MOST_LABEL - n_width) / LETTER))
        left = letters * LETTER + n_width + GAP * (2 if n_width else 1)
        return cls(letters, left, 0.0 if is_bars else low, high)


def row_chart(
    rows: Sequence[Row], title: str, mark: float | None = None, frame: Frame | None = None
) -> str:
    """Named rows: dots with intervals where there are intervals, else bars from 0.

    Args:
        rows: from top to bottom.
        title: what a screen reader says.
        mark: where a rule is drawn, such as the mean of all.
        frame: if charts share one.
    """
    frame = frame or Frame.of(rows, mark)
    bottom = TOP + ROW * len(rows)
    x_of = Scale((frame.low, frame.high), frame.left, WIDTH - RIGHT - 4)
    parts = _x_axis((frame.low, frame.high), x_of, bottom)
    if mark is not None:
        parts.append(rule("rule dash", (x_of(mark), x_of(mark)), (TOP, bottom)))
    for number, row in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(text("name", 0, y + 4, _short(row.name, frame.letters)))
        parts.append(text("tick", frame.left - GAP, y + 4, _count(row), "end"))
        first = y - APART / 2 * (len(row.spans) - 1)
        for tone, span in enumerate(row.spans):
            parts += _span(span, tone, first + APART * tone, x_of)
    return svg(bottom + BOTTOM, title, parts)


def _x_axis(values: tuple[float, float], x_of: Scale, bottom: float) -> list[str]:
    places = ticks(*values)
    return [
        rule("grid", (x_of(v), x_of(v)), (TOP, bottom))
        + text("tick", x_of(v), bottom + 14, words, "middle")
        for v, words in zip(places, tick_words(places), strict=True)
    ]


def _span(span: Span, tone: int, y: float, x_of: Scale) -> list[str]:
    if span.low is None or span.high is None:
        left, right = sorted((x_of(0.0), x_of(span.value)))
        width = max(right - left, 0.5)
        return [
            f'<rect class="bar tone{tone}" x="{left:.1f}" y="{y - 5:.1f}" '
            f'width="{width:.1f}" height="10" rx="2"/>'
        ]
    return [
        rule(f"line tone{tone}", (x_of(span.low), x_of(span.high)), (y, y)),
        dot(tone, x_of(span.value), y, 3),
    ]


def _count(row: Row) -> str:
    return "" if row.n is None else f"{row.n:,}"


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
