"""Decision: a difference of rates as ahead, behind, equal, or undecided at a price."""

from __future__ import annotations

import math

import numpy as np

EQUAL = 0.005  # of a hit rate: one request in 200; half the least lead that a reader would act on
LIKELY = 1.0  # standard errors: five to one
ROUNDING = 1e-9  # of a ratio of float64: nine times are not ten
MORE_DAYS = "more test days would tell more"
MOST_TIMES = 100  # beyond it nobody collects them: "over 100 times" says all that is to be said


def is_likely(lead: np.ndarray) -> bool:
    """Whether the mean of a lead is likely above 0: beyond its standard error."""
    return float(lead.mean()) > LIKELY * float(lead.std()) / np.sqrt(len(lead))


def decision(
    value: float, low: float, high: float, tolerance: float = EQUAL, *, narrows: bool = True
) -> str:
    """'ahead', 'behind', 'equal within ...', or 'undecided' with the requests that it would take.

    The distances of the ends from the difference fall with the root of the number of requests. It
    is decided once the end on the side of 0 has passed it (ahead or behind), or both ends lie
    within the tolerance (equal), whichever comes first, if the difference stays as it is.

    Args:
        value: the difference.
        low: lower end of its 95 % interval; NaN without one, which decides nothing.
        high: upper end.
        tolerance: a difference that does not matter, 0 or more.
        narrows: more requests of the same days narrow the interval by that law.

    >>> decision(0.02, 0.01, 0.03), decision(0.001, -0.003, 0.004)
    ('ahead', 'equal within 0.005')
    >>> decision(0.02, -0.01, 0.05)
    'undecided, about 3 times the requests would tell'
    """
    if math.isnan(high - low):
        return "undecided, too little to judge by"
    if low > 0:
        return "ahead"
    if high < 0:
        return "behind"
    if max(-low, high) <= tolerance:
        return f"equal within {tolerance:g}"
    if not narrows:
        return f"undecided, {MORE_DAYS}"
    return f"undecided, {_times(value, low, high, tolerance)} the requests would tell"


def _times(value: float, low: float, high: float, tolerance: float) -> str:
    below, above = max(value - low, 0.0), max(high - value, 0.0)
    ratios = [math.inf]  # of an end's distance to the distance at which it decides
    if value:
        ratios.append((below if value > 0 else above) / abs(value))
    if abs(value) < tolerance:
        ratios.append(max(below / (tolerance + value), above / (tolerance - value)))
    times = min(ratios) ** 2
    if times > MOST_TIMES:
        return f"over {MOST_TIMES} times"
    return f"about {max(2, math.ceil(times - ROUNDING))} times"
