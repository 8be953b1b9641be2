"""Numbers as they are written into reports."""

from __future__ import annotations

import math

DIGITS = 5


def rounded(value: float) -> float | None:
    """Five digits; None, which JSON knows, for what was not judged."""
    return None if math.isnan(value) else round(float(value), DIGITS)
