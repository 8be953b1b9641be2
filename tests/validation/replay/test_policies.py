from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.log.calendar import Fold
from feedrank.log.files import Log, write_groups, write_meta
from feedrank.log.impressions import Impressions, LoggedExposures
from feedrank.validation.replay.policies import OLD_FEED, Policies
from feedrank.validation.replay.propensity import Propensity
from feedrank.validation.replay.requests import requests_of, shown_by_policy
from tests.support.simulated_logs import DAY, posts_table, random_rows, users_table, write_log

N_USERS, N_POSTS = 20, 30
FOLD = Fold(since=2 * DAY, cutoff=5 * DAY, until=8 * DAY)
NAMES = ("a1 explore 0.05", "b2 explore 0.05")


def _exposures(rows: Impressions) -> LoggedExposures:
    """Every third user is shown lists of a service, by the second policy from day 6 on."""
    is_ours = rows.user % 3 == 0
    policy = np.where(is_ours, 1 + (rows.at >= 6 * DAY), 0).astype(np.uint16)
    chance = ((rows.post + 1) / N_POSTS).astype(np.float32)
    return LoggedExposures(np.where(is_ours, chance, np.float32(np.nan)), policy)


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
    share = np.arange(1.0, N_POSTS + 1)[None] / np.arange(1.0, N_POSTS + 1).sum()
    stratum = np.where(np.arange(N_USERS) % 3 == 0, -1, 0)
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1).weighed(Propensity(share), stratum)
    is_ours = found.user[found.shown_request] % 3 == 0
    assert 0 < is_ours.sum() < len(is_ours)
    logged, estimated = (found.post + 1) / N_POSTS, share[0, found.post] * N_POSTS
    np.testing.assert_allclose(found.propensity, np.where(is_ours, logged, estimated), rtol=1e-6)
    parts = [found.part(i, 4) for i in range(4)]
    for name in ("propensity", "policy"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(found, name))


def test_users_whose_lists_are_logged_are_known(log: Log) -> None:
    assert shown_by_policy(log, FOLD).tolist() == [*range(0, N_USERS, 3)]
    assert len(shown_by_policy(replace(log, meta=replace(log.meta, policies=())), FOLD)) == 0


def test_impressions_are_counted_by_the_policy_that_chose_them(log: Log) -> None:
    found = requests_of(log, FOLD, DAY, n=10**6, seed=1)
    policies = Policies.of(found, log.meta.policies)
    day = found.at[found.shown_request] // DAY
    is_ours = found.user[found.shown_request] % 3 == 0
    expected = {OLD_FEED: int((~is_ours).sum())}
    expected |= {NAMES[i]: int((is_ours & ((day >= 6) == i)).sum()) for i in (0, 1)}
    assert policies.n_shown == expected
    # All but the last post, which is certain to be in a list.
    assert policies.n_by_chance == int((is_ours & (found.post < N_POSTS - 1)).sum())
    twice = Policies.joined([policies, policies])
    assert twice.n_shown == {name: 2 * n for name, n in expected.items()}
    assert twice.logged == pytest.approx(is_ours.mean())
    assert f"{is_ours.mean():.0%}" in policies.in_words()


def test_a_log_without_exposures_says_nothing_of_policies(log: Log) -> None:
    plain = replace(log, meta=replace(log.meta, policies=()))
    found = requests_of(plain, FOLD, DAY, n=10**6, seed=1)
    assert Policies.of(found, ()).n_shown == {OLD_FEED: len(found.post)}
    assert Policies.of(found, ()).in_words() == ""
