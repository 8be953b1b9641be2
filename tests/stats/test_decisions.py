from __future__ import annotations

import math

import pytest

from feedrank.stats.decisions import decision


@pytest.mark.parametrize(
    ("value", "low", "high", "times"),
    [
        (0.02, -0.04, 0.03, 9),  # the lower end has to come up by 3 times the difference
        (0.02, -0.01, 0.14, 3),  # the upper end has no part in it
        (-0.02, -0.03, 0.04, 9),
        (0.0, -0.02, 0.01, 16),  # equal: both ends have to lie within .005
        (0.001, -0.005, 0.021, 25),
    ],
)  # fmt: skip
def test_the_end_that_has_to_move_tells_how_many_requests_it_takes(
    value: float, low: float, high: float, times: int
) -> None:
    said = decision(value, low, high)
    assert said == f"undecided, about {times} times the requests would tell"
    # So many requests do: distances of the ends fall with the root of their number.
    root = math.sqrt(times) + 1e-6
    then = decision(value, value - (value - low) / root, value + (high - value) / root)
    assert then in ("ahead", "behind", "equal within 0.005")


def test_what_more_requests_do_not_narrow_has_no_number_of_them() -> None:
    assert decision(0.02, -0.04, 0.03, narrows=False) == (
        "undecided, more test days would tell more"
    )
    assert decision(0.02, 0.01, 0.03, narrows=False) == "ahead"


def test_without_an_interval_nothing_is_decided() -> None:
    assert decision(1.0, math.nan, math.nan) == "undecided, too little to judge by"
