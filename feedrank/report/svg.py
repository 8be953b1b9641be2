"""Scales, ticks and text of small charts: 360 wide, to be read on a phone as well as on a desk.

Colours are CSS variables of the page, so that charts follow its light and dark sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, RIGHT = 360, 10


class Scale:
    """Where values stand between two ends."""

    def __init__(self, values: tuple[float, float], low: float, high: float) -> None:
        self._from, self._width = values[0], max(values[1] - values[0], 1e-12)
        self._low, self._high = low, high

    def __call__(self, value: float) -> float:
        """The place of one."""
        return self._low + (value - self._from) / self._width * (self._high - self._low)


def padded(values: np.ndarray, share: float) -> tuple[float, float]:
    """Both ends of the finite values with some room beyond; 0 and 1 where there is none."""
    known = values[np.isfinite(values.astype(float))].astype(float)
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = max((high - low) * share, 1e-6 * max(abs(high), 1.0), 1e-9)
    return low - room, high + room


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


def tick_words(values: Sequence[float]) -> list[str]:
    """Ticks as text, all with as many digits as the longest needs."""
    digits = max(len(f"{v:g}".partition(".")[2]) for v in values)
    return [f"{v:,.{digits}f}" for v in values]


def text(tone: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words at a place; the anchor is which end stands there."""
    return (
        f'<text class="{tone}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def rule(tone: str, x: tuple[float, float], y: tuple[float, float]) -> str:
    """A straight line between two points."""
    return f'<line class="{tone}" x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y[0]:.1f}" y2="{y[1]:.1f}"/>'


def dot(tone: int, x: float, y: float, radius: float) -> str:
    """A point of a line or a row."""
    return f'<circle class="dot tone{tone}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def svg(height: int, title: str, parts: Sequence[str]) -> str:
    """The whole chart; the title is what a screen reader says."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def legend(names: Sequence[str]) -> str:
    """Names beside their colours, the accent first, as HTML."""
    keys = (f'<span><i class="key tone{n}"></i>{escape(name)}</span>'
            for n, name in enumerate(names))  # fmt: skip
    return f'<p class="legend">{" ".join(keys)}</p>'
