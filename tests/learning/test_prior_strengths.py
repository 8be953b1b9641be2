from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.learning.counting_pass import count_posts
from feedrank.learning.prior_strengths import _given_total
from feedrank.learning.profile_coding import code_profiles
from feedrank.learning.refits import fit_refits
from feedrank.learning.warmup import fit_warmup
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.posts.refit import Strengths
from feedrank.state.rates import rates_within
from feedrank.stats.shrinkage import STRONGEST, WEAKEST, fit_strength
from tests.support.simulated_logs import (
    DAY,
    Learned,
    random_rows,
    simulated,
    tasteful,
    workers,
    write_log,
)
from tests.support.simulated_logs import learned as learn_from
from tests.support.simulated_logs import params as usual_params


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _fit(learned: Learned, step: int, log: Log | None = None) -> Strengths:
    """Prior weights of a single refit that begins at a step."""
    log, features = log or learned.log, learned.params.features
    calendar = Calendar.of(log.meta, features.warmup_days, None)
    profiles = code_profiles(log.users, features.segments)
    with workers(1):
        fitted = fit_warmup(log, profiles, calendar, features)
        (by_post, *_), history = count_posts(log, profiles, fitted)
        found, _ = fit_refits(log, profiles, fitted, by_post, history, [step], features)
    return found.refits[0].strengths


def _relabelled(learned: Learned, since: int, directory: Path) -> Log:
    """The same log with all labels flipped from a step on."""
    rows = Impressions.joined(learned.log.buckets())
    flipped = np.where(rows.at >= since * DAY, 1 - rows.liked, rows.liked).astype(np.uint8)
    return write_log(directory, learned.log.users, learned.log.posts, replace(rows, liked=flipped))


def test_what_is_kept_was_fitted_on_what_was_before_its_refit(learned: Learned) -> None:
    for refit in learned.store.fitted.refits:
        assert refit.strengths == _fit(learned, refit.first_step)
        assert refit.strengths != _fit(learned, refit.first_step + 1)


def test_of_many_users_every_so_many_th_is_sampled(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "feedrank.learning.prior_strengths.MOST_CELLS", 500
    )  # of 300 users x 6 clusters
    store = learned.store
    fitted, refit = store.fitted, store.fitted.refits[-1]
    rows = Impressions.joined(learned.log.buckets())
    rows = rows[(rows.at // DAY < refit.first_step) & (rows.user % 4 == 0)]
    key = rows.user // 4 * fitted.n_clusters + refit.clusters.cluster[rows.post]
    counts = tally(key, rows.liked, 75 * fitted.n_clusters).reshape(75, fitted.n_clusters)
    by_post = store.shared.by_post.before(refit.first_step).reshape(fitted.n_segments, -1)
    rate = rates_within(refit.clusters.cluster, fitted.n_clusters, by_post)
    expected = counts.shown * rate[fitted.segment(store.catalogue.codes[::4])]
    by_hand = fit_strength(counts.liked.sum(1), counts.shown.sum(1), expected.sum(1))
    assert _fit(learned, refit.first_step).user == pytest.approx(by_hand)


def test_nothing_from_the_step_on_is_looked_at(learned: Learned, tmp_path: Path) -> None:
    changed = _relabelled(learned, 9, tmp_path)
    assert _fit(learned, 9, changed) == _fit(learned, 9)
    assert _fit(learned, 11, changed) != _fit(learned, 11)


@pytest.mark.parametrize("step", [1, 7, 29])
def test_every_strength_is_within_its_bounds(learned: Learned, step: int) -> None:
    found = _fit(learned, step)
    for value in (*[v for n, v in vars(found).items() if n != "columns"], *found.columns):
        assert WEAKEST <= value <= STRONGEST


def test_users_who_differ_are_shrunk_less_than_users_who_do_not(
    learned: Learned, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = random_rows(20_000, 100, 40, 10)
    chance = np.where(rows.user % 2, 0.35, 0.05)
    unlike = (np.random.default_rng(1).random(len(rows)) < chance).astype(np.uint8)
    found = []
    for some in (rows, replace(rows, liked=unlike)):
        directory = tmp_path_factory.mktemp("log")
        users, posts = learned.log.users[["user_id"]][:100], learned.log.posts[:40]
        log = write_log(directory, users.reset_index(drop=True), posts, some)
        assert log.meta.last_at == 10 * DAY - 1
        store, _ = learn_from(log, usual_params())
        found.append(store.fitted.refits[-1].strengths.user)
    assert found[0] > 5 * found[1]


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.5])
def test_what_users_like_more_than_others_is_found_whatever_the_like_rate(spread: float) -> None:
    rng = np.random.default_rng(3)
    for rate in (0.02, 0.3):
        shown = np.full((20_000, 8), round(6 / rate))
        interest = rng.gamma(1 / max(spread, 1e-3) ** 2, max(spread, 1e-3) ** 2, shown.shape)
        like_rate = rng.gamma(25, 1 / 25, (len(shown), 1))
        chance = np.minimum(rate * like_rate * interest, 1)
        counts = Tally(shown, rng.binomial(shown, chance))
        found = _given_total(counts, shown * rate)
        if spread:
            assert found == pytest.approx((1 - rate) / spread**2, rel=0.35)
        else:
            assert found > 500  # ratios that spread by 4 % at most


def test_where_tastes_told_the_groups_their_own_weight_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In clusters that users' likes have made, all of their likes would seem to be taste."""
    usual = tasteful()  # whose tastes lie in factors, which are refused here
    monkeypatch.setattr("feedrank.learning.posts.choice.LEAST_LEAD", np.inf)
    refits = learn_from(usual.log, usual.params)[0].fitted.refits
    told = [r for r in refits if r.clusters.taste_strength is not None]
    assert told
    for refit in told:
        assert refit.strengths.user_cluster == refit.clusters.taste_strength
