from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import FeedrankError
from feedrank.experiments.comparison.difference import is_refused
from feedrank.experiments.comparison.pairs import Pairs
from tests.support.request_tables import N, hits_table, reordered


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    return Pairs.of(a, b, 400, 1)


def test_a_better_run_is_said_to_be_better_by_how_much() -> None:
    found = _pairs(hits_table(), hits_table(gain=0.06, seed=1)).difference("expected@5")
    assert found.gain.low < 0.06 < found.gain.high
    assert found.words().startswith("B beats A by 0.0")
    back = _pairs(hits_table(gain=0.06, seed=1), hits_table()).difference("expected@5")
    assert back.words().startswith("A beats B by 0.0")
    assert back.gain.value == pytest.approx(-found.gain.value)


def test_two_runs_that_do_not_differ_are_not_significantly_different() -> None:
    found = _pairs(hits_table(seed=1), reordered(hits_table(seed=2))).difference("expected@5")
    assert found.gain.low < 0 < found.gain.high
    assert found.words() == "undecided, more test days would tell more"
    assert replace(found, kind="shown@5").words().startswith("undecided, about 2 times the requ")
    assert found.words(tolerance=0.01) == "equal within 0.01"


def test_the_same_run_is_the_same_in_every_request() -> None:
    found = _pairs(hits_table(), hits_table()).difference("shown@5")
    assert found.is_same
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)


def test_other_estimates_of_the_same_lists_are_no_gain() -> None:
    a, b = hits_table(), hits_table()
    b["feedrank/expected@5"] += 0.01
    b["feedrank/shown@5"] += 0.01  # of shown posts, which the lists do not say
    pairs = _pairs(a, b)
    found = pairs.difference("expected@5")
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)
    assert found.words() == "the same in every request"
    assert pairs.difference("shown@5").words().startswith("B beats A")
    b.loc[0, "list"] += 2
    assert _pairs(a, b).difference("expected@5").words().startswith("B beats A")


def test_a_pair_is_narrower_than_its_parts() -> None:
    found = _pairs(hits_table(), hits_table(gain=0.06)).difference("expected@5")
    assert found.gain.high - found.gain.low < 0.6 * (found.a.high - found.a.low)


def test_users_are_resampled_not_requests() -> None:
    a, b = hits_table(), reordered(hits_table())
    swing = np.random.default_rng(4).normal(size=N // 3).repeat(3)
    b["feedrank/expected@5"] += swing.astype(np.float32)
    found = _pairs(a, b).difference("expected@5").gain
    of_users = 3.92 * swing.std() / np.sqrt(N / 3)
    assert found.high - found.low == pytest.approx(of_users, rel=0.15)


def test_the_order_of_rows_does_not_matter() -> None:
    mixed = hits_table(gain=0.06).sample(frac=1, random_state=1)
    assert _pairs(hits_table(), mixed).difference("expected@5") == _pairs(
        hits_table(), hits_table(gain=0.06)
    ).difference("expected@5")


def test_only_common_requests_are_compared() -> None:
    found = _pairs(hits_table(), hits_table()[300:])
    assert len(found.a) == len(found.b) == N - 300
    assert (found.n_a, found.n_b) == (N, N - 300)


def test_runs_on_other_requests_cannot_be_compared() -> None:
    other = hits_table()
    other["at"] += pd.Timedelta(days=31)
    with pytest.raises(FeedrankError, match="0 requests in common"):
        _pairs(hits_table(), other)


def test_an_unknown_hit_rate_is_refused_by_name() -> None:
    with pytest.raises(FeedrankError, match=r"'shown@3'; A has expected@5, shown@5; B has"):
        _pairs(hits_table(), hits_table()).difference("shown@3")


def test_lists_that_hold_other_posts_are_counted() -> None:
    n = int((hits_table()["list"] != hits_table(gain=0.06)["list"]).sum())
    assert 0 < n < N
    assert _pairs(hits_table(), hits_table(gain=0.06)).n_lists_that_differ(5) == n
    assert _pairs(hits_table(), hits_table(seed=1)).n_lists_that_differ(5) == 0
    assert _pairs(hits_table().drop(columns="list"), hits_table()).n_lists_that_differ(5) is None


def test_lists_of_different_lengths_are_not_compared() -> None:
    longer = hits_table().rename(columns=lambda c: c.replace("@5", "@10"))
    both = longer.merge(
        hits_table().drop(columns=["list", "outcomes", "fold"]), on=["user_id", "at"]
    )
    both["list"] += 7
    pairs = _pairs(hits_table(), both)
    assert pairs.first_k() == 5
    assert pairs.n_lists_that_differ(5) is None
    found = pairs.difference("expected@5")
    assert found.is_same  # by its values, not by its lists
    assert found.gain.low < 0 < found.gain.high
    assert is_refused(found, 0.0, "doubtful")


def test_lists_and_doubts_are_those_of_the_hit_rate_s_length() -> None:
    def both(seed: int) -> pd.DataFrame:
        """Requests with lists of five, and of three, that other seeds have in another order."""
        table = hits_table(seed=seed).assign(expected_doubt=0.01)
        shorter = {
            "list@3": table["list"] + seed,
            "expected_doubt@3": 0.2,
            "feedrank/expected@3": table["feedrank/expected@5"],
        }
        return table.assign(**shorter)

    pairs = _pairs(both(1), both(2))
    assert (pairs.n_lists_that_differ(5), pairs.n_lists_that_differ(3)) == (0, N)
    five, three = (pairs.difference(f"expected@{k}").gain for k in (5, 3))
    assert (five.value, five.low, five.high) == (0, 0, 0)
    assert three.value != 0
    assert three.high - three.low == pytest.approx(3.92 * 0.2 * np.sqrt(2), rel=0.15)


def test_runs_without_a_length_in_common_say_which_each_has() -> None:
    longer = hits_table().rename(columns=lambda c: c.replace("@5", "@10"))
    with pytest.raises(
        FeedrankError, match=r"A has expected@5, shown@5; B has expected@10, shown@10\. Run both"
    ):
        _pairs(hits_table(), longer).first_k()


def test_only_requests_with_a_value_in_both_runs_are_compared() -> None:
    a, b = hits_table(), reordered(hits_table())
    a.loc[:99, "feedrank/expected@5"] = np.nan
    b.loc[800:, "feedrank/expected@5"] = np.inf
    b.loc[100:799, "feedrank/expected@5"] += 0.5
    found = _pairs(a, b).difference("expected@5")
    assert found.gain.n_requests == found.a.n_requests == found.b.n_requests == 700
    assert found.gain.value == pytest.approx(0.5)
    assert found.b.value - found.a.value == pytest.approx(0.5)


@pytest.mark.parametrize("relist", [reordered, lambda table: table], ids=["other", "same"])
def test_nothing_is_decided_by_a_hit_rate_without_values(
    relist: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    a, b = hits_table(), relist(hits_table())
    a.loc[:499, "feedrank/expected@5"] = np.nan
    b.loc[500:, "feedrank/expected@5"] = np.nan
    pairs = _pairs(a, b)
    assert pairs.difference("expected@5").words() == "without a value in both runs"
    with pytest.raises(FeedrankError, match="value in both runs in 0 of 900 common requests"):
        pairs.deciding("expected@5")
    assert pairs.deciding("shown@5").is_same


@pytest.mark.parametrize("n_judged", [1, 49, 57])
def test_nothing_is_decided_by_a_hit_rate_of_few_requests_or_users(n_judged: int) -> None:
    a, b = hits_table(), reordered(hits_table())
    judged = np.arange(N) < n_judged
    a["feedrank/shown@5"], b["feedrank/shown@5"] = (np.where(judged, x, np.nan) for x in (0, 1))
    pairs = _pairs(a, b)
    found = pairs.difference("shown@5")
    assert found.words() == "undecided, too little to judge by"
    assert "B - A +1.0000 (no interval)  undecided" in found.line()
    assert not is_refused(found, 0.0, "worse")
    n_users = -(-n_judged // 3)
    with pytest.raises(
        FeedrankError, match=f"in {n_judged} of 900 common requests, of {n_users} users: below 50"
    ):
        pairs.deciding("shown@5")


def test_a_line_says_equal_within_the_tolerance_that_is_asked_for() -> None:
    found = _pairs(hits_table(seed=1), reordered(hits_table(seed=2))).difference("expected@5")
    assert found.line(0.01).endswith("equal within 0.01")
    assert found.line().endswith("undecided, more test days would tell more")


def test_a_request_that_stands_twice_is_refused() -> None:
    twice = pd.concat([hits_table(), hits_table()[5:7]])
    with pytest.raises(FeedrankError, match=r"run B has 2 requests more than once, such as user 7"):
        _pairs(hits_table(), twice)


def test_runs_of_another_log_are_noticed_by_the_posts_shown_and_liked() -> None:
    other = hits_table()
    other.loc[:399, "outcomes"] += 1
    assert _pairs(hits_table(), other).n_outcomes_that_differ() == 400
    assert _pairs(hits_table(), hits_table()).n_outcomes_that_differ() == 0
    assert _pairs(hits_table().drop(columns="outcomes"), other).n_outcomes_that_differ() is None
    other.loc[:499, "outcomes"] += 1
    with pytest.raises(
        FeedrankError, match="500 of 900 common requests differ in the posts shown or liked"
    ):
        _pairs(hits_table(), other)


def test_a_build_refuses_a_significant_or_a_possible_loss() -> None:
    worse = _pairs(hits_table(), hits_table(gain=-0.06)).difference("expected@5")
    assert is_refused(worse, 0.0, "worse")
    assert is_refused(worse, 0.05, "doubtful")
    assert not is_refused(worse, 0.2, "worse")
    close = _pairs(hits_table(seed=1), reordered(hits_table(seed=2))).difference("expected@5")
    assert not is_refused(close, 0.0, "worse")
    assert is_refused(close, 0.0, "doubtful")
    assert not is_refused(close, 0.05, "doubtful")
    same = _pairs(hits_table(), hits_table()).difference("expected@5")
    assert not is_refused(same, 0.0, "doubtful")


def _listing(table: pd.DataFrame, posts: list[str], spread: float) -> pd.DataFrame:
    """Of which every request lists the same posts."""
    lists = {"posts": [posts] * N, "post_spreads": [np.full(len(posts), spread, np.float32)] * N}
    return table.assign(expected_doubt=0.05, **lists)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_what_no_request_tells_widens_a_difference_by_posts_that_differ(spread: float) -> None:
    a, b = hits_table(seed=1), hits_table(gain=0.02, seed=2)
    plain = Pairs.of(a, b, 500, 1).difference("expected@5")
    first = _listing(a, ["a", "b", "c", "d", "e"], spread)
    # What lists hold beyond the five that are compared does not count.
    of_b = (["e", "d", "c", "b", "a", "y"], ["a", "b", "c", "d", "x", "e"], ["v", "w", "x", "y"])
    found = [Pairs.of(first, _listing(b, posts, spread), 500, 1) for posts in of_b]
    same, near, apart = (pairs.difference("expected@5").gain for pairs in found)
    assert (same.low, same.high) == (plain.gain.low, plain.gain.high)
    widths = [gain.high - gain.low for gain in (same, near, apart)]
    assert widths[0] < widths[1] < 0.7 * widths[2]
    # Of four posts in five in common, whatever the reason of the doubt.
    doubts = np.sqrt(np.square(widths[1:]) - widths[0] ** 2)
    assert doubts[0] / doubts[1] == pytest.approx(np.sqrt(0.2), rel=0.1)
    assert {gain.value for gain in (same, near, apart)} == {plain.gain.value}


def test_what_is_not_known_of_posts_is_shared_by_lists_of_other_requests() -> None:
    a, b = hits_table(seed=1), hits_table(gain=0.02, seed=2)
    lists = [["a", "b", "c", "d", "e"], ["v", "w", "x", "y", "z"]] * (N // 2)
    widths = []
    for spread in (0.0, 0.3):
        tables = (_listing(t, lists[0], spread) for t in (a, b))
        moved = [t.assign(posts=of) for t, of in zip(tables, (lists, lists[::-1]), strict=True)]
        gain = Pairs.of(*moved, 500, 1).difference("expected@5").gain
        widths.append(gain.high - gain.low)
    assert widths[1] < 0.5 * widths[0]


def test_doubts_of_runs_that_do_not_name_their_posts_do_not_correlate() -> None:
    a, b = hits_table(seed=1), hits_table(gain=0.02, seed=2)
    plain = Pairs.of(a, b, 500, 1).difference("expected@5")
    doubted = [t.assign(expected_doubt=0.05) for t in (a, b)]
    found = Pairs.of(*doubted, 500, 1).difference("expected@5")
    assert found.gain.high - found.gain.low > 1.5 * (plain.gain.high - plain.gain.low)
    assert found.gain.value == plain.gain.value
    shown = [Pairs.of(*t, 500, 1).difference("shown@5").gain for t in ((a, b), doubted)]
    assert shown[0] == shown[1]
    same = Pairs.of(doubted[0], doubted[0], 500, 1).difference("expected@5").gain
    assert (same.low, same.high) == (0, 0)
