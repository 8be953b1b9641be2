from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.learning.profile_coding import code_profiles
from feedrank.learning.segments import difference, find
from feedrank.learning.segments.find import with_segments, words_of
from feedrank.learning.target_encoding import PRIOR_IMPRESSIONS, static_encodings
from feedrank.log.impressions import Impressions
from feedrank.state.fitted import WarmupParameters
from feedrank.state.profiles import Profiles
from tests.support.simulated_logs import (
    DAY,
    HOUR,
    divided,
    learned,
    random_rows,
    simulated,
    users_table,
    workers,
    write_log,
)


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


N_USERS, N_POSTS = 300, 120


def _segment_rows(
    log_odds: np.ndarray, n: int, like_rate: np.ndarray | float = 0.1, seed: int = 0
) -> Impressions:
    """Random impressions whose likes follow a log ratio of each user and post."""
    rng = np.random.default_rng(seed)
    user, post = rng.integers(0, len(log_odds), n), rng.integers(0, log_odds.shape[1], n)
    rate = np.broadcast_to(like_rate, len(log_odds))[user] * np.exp(log_odds[user, post])
    liked = rng.random(n) < np.clip(rate, 0, 1)
    return Impressions(user, post, np.zeros(n, np.uint32), liked.astype(np.uint8))


def _chosen(profiles: Profiles, rows: Impressions) -> int:
    """The column whose codes differ most, of users who are all one segment."""
    one, every = np.zeros(len(profiles.codes), np.int64), range(len(profiles.columns))
    return difference.most_different(profiles, rows, every, one).column


def _segments_of(profiles: Profiles, rows: Impressions) -> WarmupParameters:
    columns = profiles.columns
    sizes = {"column_names": tuple(profiles.names()), "column_codes": [c.n_codes for c in columns]}
    without = replace(simulated().store.fitted, segment_column=-1, segment_splits=(), **sizes)
    return find.with_segments_of(without, profiles, rows, 0)


def _leaning(code: np.ndarray, size: float) -> np.ndarray:
    """Log ratios of users by code, towards posts of their own side of the catalogue."""
    side = np.where(np.arange(N_POSTS) % 2, 1, -1)
    return size * np.outer(code - code.mean(), side)


def test_the_segment_column_is_the_one_whose_codes_like_other_posts() -> None:
    rng = np.random.default_rng(4)
    more, weak, strong = rng.integers(0, 3, (3, N_USERS))
    # Users of a higher code of `more` like more, but the same posts.
    rows = _segment_rows(_leaning(weak, 0.15) + _leaning(strong, 0.5), 30_000, 0.05 * (1 + more))
    columns = {"more": more, "weak": weak, "strong": strong}
    assert _chosen(_profiles(**columns), rows) == 2
    assert _chosen(_profiles(**dict(reversed(columns.items()))), rows) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_column_is_chosen_where_all_like_the_same_posts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    posts = np.tile(rng.normal(0, 0.5, N_POSTS), (N_USERS, 1))
    rows = _segment_rows(posts, 20_000, rng.gamma(0.5, 0.2, N_USERS), seed)
    profiles = _profiles(**{str(n): rng.integers(0, n, N_USERS) for n in (2, 3, 30)})
    assert _chosen(profiles, rows) == -1


def test_no_columns_and_no_rows_give_no_segments() -> None:
    profiles = _profiles(side=np.arange(N_USERS) % 3)
    none = Profiles((), np.zeros((N_USERS, 0), np.uint16))
    rows = _segment_rows(np.zeros((N_USERS, N_POSTS)), 500)
    assert _chosen(none, rows) == -1
    assert _chosen(profiles, rows[:0]) == -1


def test_a_weak_difference_is_found_though_hardly_a_post_is_liked_twice() -> None:
    """A test of all cells of code and post sees nothing here: one in ten cells expects a like."""
    band = np.random.default_rng(6).integers(0, 12, N_USERS)
    posts = 6 * N_POSTS
    lean = 0.22 * np.outer(band - band.mean(), np.where(np.arange(posts) % 2, 1, -1))
    for seed in range(3):
        rows = _segment_rows(lean, 9_000, seed=seed)
        assert _chosen(_profiles(band=band), rows) == 0


def test_small_towns_are_not_chosen_because_their_few_users_differ() -> None:
    """A like of a user who likes much falls into a cell that expects a hundredth of one."""
    rng = np.random.default_rng(1)
    town = np.minimum(rng.zipf(1.3, N_USERS), 64) - 1
    side = rng.integers(0, 2, N_USERS)
    rows = _segment_rows(_leaning(side, 0.4), 20_000, 0.1 * rng.gamma(0.5, 2, N_USERS))
    assert _chosen(_profiles(town=town, side=side), rows) == 1
    assert _chosen(_profiles(town=town), rows) == -1


@pytest.mark.parametrize("seed", range(4))
def test_users_who_like_more_do_not_like_other_posts_where_a_post_has_hardly_a_like(
    seed: int,
) -> None:
    """Of five impressions a post, which were expected half a like, some are of one code alone."""
    group = np.random.default_rng(seed).integers(0, 5, N_USERS)
    rate = 0.1 * np.exp(np.array([-0.5, 0.5, 0.5, -0.5, 0]))[group]
    rows = _segment_rows(np.zeros((N_USERS, 40 * N_POSTS)), 5 * 40 * N_POSTS, rate, seed)
    assert _chosen(_profiles(group=group), rows) == -1


def test_codes_of_few_users_seldom_differ_much_by_chance() -> None:
    """Else one of some columns would exceed its chance by far."""
    country, farthest = np.repeat(np.arange(1, 8), [270, 14, 8, 3, 2, 2, 1]), []
    for seed in range(5):
        rows = _segment_rows(np.zeros((N_USERS, N_POSTS)), 6_000, 0.1, seed)
        rng, alike = np.random.default_rng(seed), np.zeros(N_USERS, np.int64)
        permuted = (difference._permuted(country, alike, rng) for _ in range(100))
        cells = difference._Cells.of(rows, alike)
        found = [difference._difference(8, cells, codes[cells.users]) for codes in permuted]
        farthest.append((max(found) - np.mean(found)) / np.std(found))
    assert np.mean(farthest) < 3.6


def test_a_post_that_users_of_one_code_alone_were_shown_tells_nothing() -> None:
    user = np.arange(N_USERS)
    rows = Impressions(user, user, np.zeros(N_USERS, np.uint32), user % 4 == 0)
    cells = difference._Cells.of(rows, np.zeros(N_USERS, np.int64))
    assert difference._difference(3, cells, user % 3) == pytest.approx(0, abs=1e-9)


def _of_two_columns(rng: np.random.Generator, together: float) -> tuple[Profiles, np.ndarray]:
    """Columns of side, age and no effect; log ratios by side, and by side and age together."""
    side, age = rng.integers(0, 2, N_USERS), rng.integers(20, 60, N_USERS)
    profiles = _profiles(
        town=rng.integers(0, 5, N_USERS).astype(str), side=side.astype(str), age=age
    )
    pair = np.where(np.arange(N_POSTS) // 2 % 2, 1, -1)
    both = (2 * side - 1) * np.where(age >= 40, 1, -1)
    return profiles, _leaning(side, 0.6) + together * np.outer(both, pair)


def test_columns_that_act_together_split_the_users_together() -> None:
    profiles, log_odds = _of_two_columns(np.random.default_rng(2), 0.4)
    fitted = _segments_of(profiles, _segment_rows(log_odds, 60_000, 0.15))
    assert words_of(fitted) == "'side' and 'age' split the users, as the warm-up shows."
    (split,) = fitted.segment_splits
    assert split.half[1:] in {(0, 0, 1, 1), (1, 1, 0, 0)}  # the bands below 40 and from 40 on
    assert fitted.n_segments == 2 * 3


def test_a_column_of_a_tenth_of_the_effect_splits_nothing() -> None:
    profiles, log_odds = _of_two_columns(np.random.default_rng(2), 0.05)
    rows = _segment_rows(log_odds, 600_000, 0.15)
    assert _segments_of(profiles, rows).segment_splits == ()
    segment = profiles.codes[:, 1].astype(np.int64)  # though it is certain
    assert difference.most_different(profiles, rows, [0, 2], segment).column == 2


def test_segments_are_no_more_than_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    profiles, log_odds = _of_two_columns(np.random.default_rng(2), 0.4)
    rows = _segment_rows(log_odds, 60_000, 0.15)
    for most, n_splits in ((5, 0), (6, 1)):
        monkeypatch.setattr(find, "MOST_SEGMENTS", most)
        assert len(_segments_of(profiles, rows).segment_splits) == n_splits


def test_a_difference_within_segments_knows_nothing_of_that_between_them() -> None:
    """Of a copy of the segment column nothing is left."""
    profiles, log_odds = _of_two_columns(np.random.default_rng(2), 0.0)
    rows = _segment_rows(log_odds, 60_000, 0.15)
    segment = profiles.codes[:, 1].astype(np.int64)
    assert difference.most_different(profiles, rows, [1], segment * 0).column == 1
    assert difference.most_different(profiles, rows, [0, 1, 2], segment).column == -1


@pytest.mark.parametrize("most", [3_000_000, 30_000])
def test_a_refit_finds_what_splits_users_after_the_warm_up(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedrank.learning.segments.find.LATER_ROWS", most)
    log, fitted = divided().log, divided().store.fitted
    without = replace(fitted, segment_column=-1, segments_since=0, segment_splits=())
    profiles = Profiles(divided().store.columns, divided().store.catalogue.codes)
    found = with_segments(log, profiles, without, [7, 9, 13, 19, 26])
    assert words_of(found) == (
        "'side' and 'age' split the users from day 13 on, when a refit found it."
    )
    assert "no profile column" in words_of(without)
    assert (found.segment_column, found.segments_since) == (1, 13)
    assert [split.column for split in found.segment_splits] == [2]
    assert with_segments(log, profiles, without, [7, 9]) == without
    assert with_segments(log, profiles, without, [7]) == without
    of_warmup = replace(without, segment_column=0)
    assert with_segments(log, profiles, of_warmup, [7, 9, 13]) == of_warmup


def test_what_a_refit_looks_at_does_not_hang_on_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "LATER_ROWS", 10_000)
    looked_at: list[list[bytes]] = []

    def choose(_: Profiles, rows: Impressions, *__: object) -> difference.Difference:
        looked_at[-1].append(b"".join(column.tobytes() for column in vars(rows).values()))
        return difference.Difference()

    monkeypatch.setattr(find, "most_different", choose)
    log, fitted = divided().log, divided().store.fitted
    without = replace(fitted, segment_column=-1, segments_since=0, segment_splits=())
    profiles = Profiles(divided().store.columns, divided().store.catalogue.codes)
    rows = Impressions.joined(log.buckets()).sorted()
    later = random_rows(90_000, 300, 250, 20, seed=9)
    later = replace(later, at=later.at + np.uint32(30 * DAY))
    longer = write_log(tmp_path, log.users, log.posts, Impressions.joined([rows, later]).sorted())
    for some in (log, longer):
        looked_at.append([])
        with workers(1):
            with_segments(some, profiles, without, [7, 9, 13, 19, 26])
    assert looked_at[0] == looked_at[1]
    assert all(5_000 < len(seen) / 13 < 15_000 for seen in looked_at[0])


def test_segments_of_one_refit_are_those_of_the_warm_up() -> None:
    params = divided().params
    store, _ = learned(divided().log, replace(params, features=replace(params.features, refits=1)))
    assert store.fitted.segment_column == -1


def test_the_column_that_drives_the_simulated_network_is_found() -> None:
    fitted = simulated().store.fitted
    assert fitted.column_names[fitted.segment_column] == "age"
    assert words_of(fitted) == "'age' splits the users, as the warm-up shows."
    codes = pd.Series(fitted.segment(simulated().store.catalogue.codes))
    assert codes.nunique() > 2
