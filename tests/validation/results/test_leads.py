from __future__ import annotations

from feedrank.validation.results.leads import (
    decided,
    lead_in_words,
    leaders_in_words,
    leads_in_words,
)


def lead(expected: float, shown: float) -> dict[str, float | None]:
    """A lead whose intervals reach .02 to both sides."""
    kinds = {"expected": expected, "shown": shown}
    ends = {
        f"{k}{e}": v + d for k, v in kinds.items() for e, d in (("_low", -0.02), ("_high", 0.02))
    }
    return {**kinds, **ends}


def test_a_baseline_that_is_surely_ahead_is_named() -> None:
    leads = {"als": lead(0.1, 0.01), "decayed_likes": lead(0.0, -0.03)}
    words = leaders_in_words(leads, "expected")
    assert words.startswith("Significantly ahead of our lists: decayed likes")
    assert "shown -0.030 [-0.050, -0.010]" in words
    assert "als" not in words


def test_a_void_estimate_names_no_leader() -> None:
    assert "als (ours less it" in leaders_in_words({"als": lead(-0.1, 0.01)}, "expected")
    assert leaders_in_words({"als": lead(-0.1, 0.01)}, "shown").startswith("No baseline")


def test_a_lead_without_an_interval_decides_nothing() -> None:
    few = lead(0.1, 0.5) | {"shown_low": None, "shown_high": None}
    assert lead_in_words(few) == (
        "expected +0.100 [+0.080, +0.120], ahead; shown +0.500, undecided, too little to judge by"
    )
    bare = few | {"expected_low": None, "expected_high": None}
    assert leaders_in_words({"als": bare}, "expected").startswith("Too little is judged to tell")


def test_how_many_requests_would_tell_is_said_of_shown_alone() -> None:
    unsure = lead(0.01, 0.01)
    assert decided(unsure, "expected") == "undecided, more test days would tell more"
    assert decided(unsure, "shown") == "undecided, about 4 times the requests would tell"


def test_a_lead_that_no_request_judges_is_no_certain_one() -> None:
    void = lead(0.1, 0.1) | dict.fromkeys(("shown", "shown_low", "shown_high"))
    assert leads_in_words({"als": void}, "shown") == [
        "Against als: undecided: no request judges both."
    ]
