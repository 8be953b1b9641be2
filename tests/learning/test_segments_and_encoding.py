from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feedrank.learning.profile_coding import code_profiles
from feedrank.learning.segments import choose_segment_column
from feedrank.learning.target_encoding import PRIOR_IMPRESSIONS, static_encodings
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.profiles import Profiles
from tests.support.simulated_logs import DAY, HOUR, simulated, users_table


def _profiles(**columns: object) -> Profiles:
    n = len(next(iter(columns.values())))  # type: ignore[arg-type]
    return code_profiles(users_table(n, **columns), 4)


def _rows(n: int, n_users: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_users, n), rng.integers(0, 5 * DAY, n)


def test_an_encoding_is_the_smoothed_rate_against_the_average() -> None:
    city = ["a", "b", "b", "c"]
    user, at = _rows(600, 4)
    liked = (np.random.default_rng(1).random(600) < np.array([0.5, 0.1, 0.1, 0.2])[user]).astype(
        int
    )
    profiles = _profiles(city=city)
    table = static_encodings(profiles, user, at, liked)[0]
    mean = liked.mean()
    for code in range(profiles.columns[0].n_codes):
        of = liked[profiles.codes[user, 0] == code]
        rate = (of.sum() + PRIOR_IMPRESSIONS * mean) / (len(of) + PRIOR_IMPRESSIONS)
        expected = np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))
        assert table[code] == pytest.approx(expected, abs=1e-9)


def test_a_code_that_no_row_has_is_the_average() -> None:
    profiles = _profiles(city=["a", "b", None, "c"])
    user, at = _rows(300, 2)
    table = static_encodings(profiles, user, at, user)[0]
    code_c = profiles.codes[3, 0]
    assert table[code_c] == pytest.approx(0, abs=1e-9)
    assert table[0] == pytest.approx(0, abs=1e-9)


def test_hours_are_encoded_last_and_all_of_them() -> None:
    user, at = _rows(4000, 4)
    liked = (at % DAY // HOUR == 9).astype(int)
    *_, hours = static_encodings(_profiles(city=list("aabb")), user, at, liked)
    assert hours.shape == (24,)
    assert hours.argmax() == 9
    assert hours[9] > 1 > 0 > np.delete(hours, 9).max()


def test_the_order_of_rows_does_not_matter() -> None:
    user, at = _rows(500, 4)
    liked = np.random.default_rng(2).integers(0, 2, 500)
    order = np.random.default_rng(3).permutation(500)
    profiles = _profiles(city=list("abca"))
    first = static_encodings(profiles, user, at, liked)
    second = static_encodings(profiles, user[order], at[order], liked[order])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("like", [0, 1])
def test_labels_without_a_difference_are_encoded_as_none(like: int) -> None:
    user, at = _rows(100, 4)
    for table in static_encodings(_profiles(city=list("abca")), user, at, np.full(100, like)):
        np.testing.assert_allclose(table, 0, atol=1e-9)


def test_no_rows_are_encoded_as_no_difference() -> None:
    none = np.empty(0, np.int64)
    for table in static_encodings(_profiles(city=list("abca")), none, none, none):
        assert not table.any()


def _tally(rate: np.ndarray, shown: int, seed: int) -> Tally:
    n_shown = np.full(rate.shape, shown)
    return Tally(n_shown, np.random.default_rng(seed).binomial(n_shown, rate))


def test_the_segment_column_is_the_one_by_which_posts_differ_most() -> None:
    rng = np.random.default_rng(4)
    post = rng.uniform(0.05, 0.3, 40)
    merely_more = _tally(np.outer([1, 2, 3], post), 200, 1)  # codes like more, but the same posts
    weak = _tally(np.clip(post * rng.lognormal(0, 0.2, (3, 40)), 0, 1), 200, 2)
    strong = _tally(np.clip(post * rng.lognormal(0, 0.8, (3, 40)), 0, 1), 200, 3)
    assert choose_segment_column([merely_more, weak, strong]) == 2
    assert choose_segment_column([strong, weak, merely_more]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_column_is_chosen_where_all_like_the_same_posts(seed: int) -> None:
    post = np.random.default_rng(seed).uniform(0.02, 0.1, 40)
    columns = [_tally(np.outer(by, post), 200, seed) for by in ([1, 1], [1, 2, 3], [1] * 30)]
    assert choose_segment_column(columns) == -1


def test_no_columns_give_no_segments() -> None:
    assert choose_segment_column([]) == -1


def test_a_column_of_many_codes_is_not_chosen_for_its_noise() -> None:
    post = np.random.default_rng(5).uniform(0.05, 0.3, 100)
    noise = _tally(np.outer(np.ones(64), post), 4, 1)
    signal = _tally(np.outer([1, 1], post) * [[1.0], [1.0]] * np.exp(
        np.array([[0.25], [-0.25]]) * np.sign(np.sin(np.arange(100)))
    ), 500, 2)  # fmt: skip
    assert choose_segment_column([noise, signal]) == 1


def test_small_towns_are_not_chosen_because_their_few_users_differ() -> None:
    """A like of a user who likes much falls into a cell that expects a hundredth of one."""
    rng = np.random.default_rng(1)
    n_users, n_posts, n_rows = 2000, 1000, 60_000
    town = np.minimum(rng.zipf(1.3, n_users), 64) - 1
    side = rng.integers(0, 2, n_users)
    like_rate = rng.gamma(0.5, 2, n_users)
    user, post = rng.integers(0, n_users, n_rows), rng.integers(0, n_posts, n_rows)
    leaning = np.exp(0.2 * np.where(side[user], 1, -1) * np.where(post % 2, 1, -1))
    liked = rng.random(n_rows) < np.clip(0.1 * like_rate[user] * leaning, 0, 1)
    counts = [
        tally(code[user] * n_posts + post, liked.astype(np.uint8), n * n_posts).reshape(n, n_posts)
        for code, n in ((town, 64), (side, 2))
    ]
    assert choose_segment_column(counts) == 1


def test_the_column_that_drives_the_simulated_network_is_found() -> None:
    fitted = simulated().store.fitted
    assert fitted.column_names[fitted.segment_column] == "age"
    codes = pd.Series(fitted.segment(simulated().store.catalogue.codes))
    assert codes.nunique() > 2
