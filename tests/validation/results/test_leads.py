from __future__ import annotations

from feedrank.validation.results.leads import leaders_in_words


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
