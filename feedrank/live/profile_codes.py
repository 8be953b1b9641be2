"""Profile codes of users who came after an artifact, by its stored coding."""

from __future__ import annotations

import math

import numpy as np

from feedrank.state.profiles import MISSING, OTHER, ProfileColumn


def code_of(column: ProfileColumn, value: object) -> int:
    """Code of one value of a column; missing, if it is None, NaN or a category never seen.

    A number in text is read as a number, and a whole number also finds its category as it is
    written where some users have none (`3.0` for 3).
    """
    number = _number(value)
    if value is None or (number is not None and math.isnan(number)):
        return MISSING
    if column.edges:
        if number is None:
            return MISSING
        return 1 + int(np.searchsorted(column.edges, number, side="left"))
    names = [str(value)]
    if number is not None:
        names += [str(number), *([str(int(number))] if number.is_integer() else [])]
    known = [name for name in (*names, OTHER) if name in column.categories]
    return 1 + column.categories.index(known[0]) if known else MISSING


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
