from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.log.calendar import Fold
from feedrank.log.files import Log, write_groups, write_meta
from feedrank.log.impressions import Impressions, LoggedExposures
from feedrank.validation.replay import requests
from feedrank.validation.replay.policies import OLD_FEED, Policies
from feedrank.validation.replay.propensity import Propensity
from feedrank.validation.replay.requests import Requests, Sessions
from tests.support.request_tables import requests_of
from tests.support.simulated_logs import DAY, posts_table, random_rows, users_table, write_log

N_USERS, N_POSTS = 20, 30
FOLD = Fold(since=2 * DAY, cutoff=5 * DAY, until=8 * DAY)
NAMES = ("a1 explore 0.05", "b2 explore 0.05")


def _exposures(rows: Impressions) -> LoggedExposures:
    """Every third user is shown lists of a service from day 6 on, the second policy's on day 7."""
    is_ours = (rows.user % 3 == 0) & (rows.at >= 6 * DAY)
    policy = np.where(is_ours, 1 + (rows.at >= 7 * DAY), 0).astype(np.uint16)
    chance = ((rows.post + 1) / N_POSTS).astype(np.float32)
    return LoggedExposures(np.where(is_ours, chance, np.float32(np.nan)), policy)


def _is_ours(found: Requests) -> np.ndarray:
    is_late = found.at[found.shown_request] >= 6 * DAY
    return (found.user[found.shown_request] % 3 == 0) & is_late


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    rows = random_rows(6000, N_USERS, N_POSTS, 9, sessions=300)
    plain = write_log(
        tmp_path_factory.mktemp("log"), users_table(N_USERS), posts_table(N_POSTS), rows, 3
    )
    for number, bucket in enumerate(list(plain.buckets())):
        write_groups(Path(plain.directory), number, [bucket], _exposures)
    write_meta(Path(plain.directory), replace(plain.meta, policies=NAMES))
    return Log.open(plain.directory)


def test_a_logged_propensity_is_used_and_that_of_the_old_feed_is_estimated(log: Log) -> None:
    weight = np.stack([np.arange(1.0, N_POSTS + 1), np.arange(N_POSTS, 0.0, -1)])
    share, stratum = weight / weight.sum(1, keepdims=True), np.arange(N_USERS) % 2
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1).weighed(Propensity(share), stratum)
    user, is_ours = found.user[found.shown_request], _is_ours(found)
    assert 0 < is_ours.sum() < (user % 3 == 0).sum()  # these users were shown the old feed as well
    logged, estimated = (found.post + 1) / N_POSTS, share[user % 2, found.post] * N_POSTS
    np.testing.assert_allclose(found.propensity, np.where(is_ours, logged, estimated), rtol=1e-6)
    parts = [found.part(i, 4) for i in range(4)]
    for name in ("propensity", "policy"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(found, name))


def test_users_whose_lists_are_logged_are_known(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def users(of: Log) -> list[int]:
        return Sessions.in_test(of, FOLD, DAY, seed=1).shown_by_policy.tolist()

    assert users(log) == [*range(0, N_USERS, 3)]
    assert users(replace(log, meta=replace(log.meta, policies=()))) == []
    monkeypatch.setattr(requests, "MOST_ROWS", 10)  # also those whose sessions are left out
    assert users(log) == [*range(0, N_USERS, 3)]


def test_impressions_are_counted_by_the_policy_that_chose_them(log: Log) -> None:
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    policies = Policies.of(found, log.meta.policies)
    day, is_ours = found.at[found.shown_request] // DAY, _is_ours(found)
    expected = {OLD_FEED: int((~is_ours).sum())}
    expected |= {NAMES[i]: int((is_ours & ((day >= 7) == i)).sum()) for i in (0, 1)}
    assert policies.n_shown == expected
    # Of propensities of 1 / 30 to 1 those below a half.
    assert policies.n_by_chance == int((is_ours & (found.post < N_POSTS / 2 - 1)).sum())
    twice = Policies.joined([policies, policies])
    assert twice.n_shown == {name: 2 * n for name, n in expected.items()}
    assert twice.logged == pytest.approx(is_ours.mean())
    assert f"{is_ours.mean():.0%}" in policies.in_words()


def test_a_log_without_exposures_says_nothing_of_policies(log: Log) -> None:
    plain = replace(log, meta=replace(log.meta, policies=()))
    found = requests_of(plain, FOLD, DAY, n=10**6, seed=1)
    assert Policies.of(found, ()).n_shown == {OLD_FEED: len(found.post)}
    assert Policies.of(found, ()).in_words() == ""
