from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.coding import code_profiles
from feedrank.counts import Tally, tally
from feedrank.encodings import Strengths
from feedrank.eras import fit_eras
from feedrank.folds import Calendar
from feedrank.log import Impressions, Log
from feedrank.passes import count_posts
from feedrank.priors import STRONGEST, WEAKEST, fit_strength
from feedrank.state import group_rates
from feedrank.strengths import _given_total
from feedrank.warmup import fit_encodings
from tests.logs import DAY, Learned, random_rows, simulated, tasteful, workers, write_log
from tests.logs import learned as learn_from
from tests.logs import params as usual_params


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _fit(learned: Learned, step: int, log: Log | None = None) -> Strengths:
    """Prior weights of a single era that begins at a step."""
    log, features = log or learned.log, learned.params.features
    calendar = Calendar.of(log.meta, features.warmup_days, None)
    profiles = code_profiles(log.users, features.segments)
    with workers(1):
        encodings = fit_encodings(log, profiles, calendar, features)
        by_post, history = count_posts(log, profiles, encodings)
        found, _ = fit_eras(log, profiles, encodings, by_post, history, [step], features)
    return found.eras[0].strengths


def _relabelled(learned: Learned, since: int, directory: Path) -> Log:
    """The same log with all labels flipped from a step on."""
    rows = Impressions.joined(learned.log.buckets())
    flipped = np.where(rows.at >= since * DAY, 1 - rows.liked, rows.liked).astype(np.uint8)
    return write_log(directory, learned.log.users, learned.log.posts, replace(rows, liked=flipped))


def test_what_is_kept_was_fitted_on_what_was_before_its_era(learned: Learned) -> None:
    for era in learned.knowledge.encodings.eras:
        assert era.strengths == _fit(learned, era.first_step)
        assert era.strengths != _fit(learned, era.first_step + 1)


def test_of_many_users_every_so_many_th_is_asked(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedrank.strengths.MOST_UNITS", 500)  # of 300 users x 6 groups
    knowledge = learned.knowledge
    enc, era = knowledge.encodings, knowledge.encodings.eras[-1]
    rows = Impressions.joined(learned.log.buckets())
    rows = rows[(rows.at // DAY < era.first_step) & (rows.user % 4 == 0)]
    key = rows.user // 4 * enc.n_groups + era.groups.cluster[rows.post]
    counts = tally(key, rows.liked, 75 * enc.n_groups).reshape(75, enc.n_groups)
    by_post = knowledge.shared.by_post.before(era.first_step).reshape(enc.n_segments, -1)
    rate = group_rates(era.groups.cluster, enc.n_groups, by_post)
    expected = counts.shown * rate[enc.segment(knowledge.catalogue.codes[::4])]
    by_hand = fit_strength(counts.liked.sum(1), counts.shown.sum(1), expected.sum(1))
    assert _fit(learned, era.first_step).user == pytest.approx(by_hand)


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
        knowledge, _ = learn_from(log, usual_params())
        found.append(knowledge.encodings.eras[-1].strengths.user)
    assert found[0] > 5 * found[1]


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.5])
def test_what_users_like_more_than_others_is_found_whatever_the_like_rate(spread: float) -> None:
    rng = np.random.default_rng(3)
    for rate in (0.02, 0.3):
        shown = np.full((20_000, 8), round(6 / rate))
        interest = rng.gamma(1 / max(spread, 1e-3) ** 2, max(spread, 1e-3) ** 2, shown.shape)
        propensity = rng.gamma(25, 1 / 25, (len(shown), 1))
        chance = np.minimum(rate * propensity * interest, 1)
        counts = Tally(shown, rng.binomial(shown, chance))
        found = _given_total(counts, shown * rate)
        if spread:
            assert found == pytest.approx((1 - rate) / spread**2, rel=0.35)
        else:
            assert found > 1000


def test_where_tastes_told_the_groups_their_own_weight_holds() -> None:
    """In groups that users' likes have made, all of their likes would seem to be taste."""
    told = [era for era in tasteful().knowledge.encodings.eras if era.groups.tastes is not None]
    assert told
    for era in told:
        assert era.strengths.user_cluster == era.groups.tastes
