"""Rounding of numbers in reports."""

from __future__ import annotations

import math

DIGITS = 5


def rounded(value: float) -> float | None:
    """Five digits; None, which JSON can hold, for NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS)
