"""The words under the table of `python -m service.show`."""

from __future__ import annotations

from typing import Any

import pytest

from service.show import table_of

RATES = {"expected": 0.6, "shown": None, "catalogue": 0.01}


def _metrics(lead: dict[str, float | None]) -> dict[str, Any]:
    ours = {**RATES, "expected_low": 0.5, "expected_high": 0.7, "n_requests": 300}
    return {
        "headline": "expected",
        "hitrate@5": ours,
        "baselines@5": {"most_liked": RATES},
        "lead@5": {"most_liked": lead},
    }


@pytest.mark.parametrize(
    ("value", "low", "high", "says"),
    [
        (0.087, 0.035, 0.131, "+0.087 [+0.035, +0.131], ahead"),
        (-0.05, -0.09, -0.0104, "-0.050 [-0.090, -0.010], behind"),
        (
            0.042,
            -0.011,
            0.1,
            "+0.042 [-0.011, +0.100], undecided, more test days would tell more",
        ),
        (
            -0.0004,
            -0.01,
            0.01,
            "+0.000 [-0.010, +0.010], undecided, more test days would tell more",
        ),
        (0.0, 0.0, 0.0, "+0.000 [+0.000, +0.000], equal within 0.005"),
    ],
)
def test_a_lead_is_called_what_it_is(value: float, low: float, high: float, says: str) -> None:
    lead = {"expected": value, "expected_low": low, "expected_high": high}
    shown = {"shown": 0.1, "shown_low": 0.02, "shown_high": 0.2}
    lines = table_of(_metrics(lead | shown))
    words = f"against most_liked: expected {says}; shown +0.100 [+0.020, +0.200], ahead"
    assert lines[-1] == words
    unsure = table_of(_metrics(lead | {"shown": 0.01, "shown_low": -0.01, "shown_high": 0.04}))
    assert unsure[-1].endswith(
        "; shown +0.010 [-0.010, +0.040], undecided, about 4 times the requests would tell"
    )
    unjudged = table_of(_metrics(lead | dict.fromkeys(shown)))
    assert unjudged[-1] == f"against most_liked: expected {says}"
    assert lines[-2].startswith("expected 0.600 [0.500, 0.700] over 300 requests")


def test_a_void_estimate_carries_no_lead() -> None:
    lead = {"expected": 0.05, "expected_low": 0.01, "expected_high": 0.09}
    metrics = _metrics(lead | {"shown": 0.1, "shown_low": 0.02, "shown_high": 0.2})
    metrics["hitrate@5"] |= {"shown_low": None, "shown_high": None}
    assert table_of(metrics | {"headline": "shown"})[-3:] == [
        "shown - [-, -] over 300 requests (95 %, users resampled)",
        "expected is void: the feed is not random",
        "against most_liked: shown +0.100 [+0.020, +0.200], ahead",
    ]
