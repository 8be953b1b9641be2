from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.features.feature import SHOWN
from feedrank.features.spec import FIXED, features_of
from feedrank.features.topics import TOPICAL
from feedrank.ranking.first_stage import Design
from feedrank.state.posts.factors import UserEvidence
from feedrank.state.posts.topic_contexts import age_of
from feedrank.state.shared import WINDOWS
from feedrank.stats.shrinkage import as_feature, base_rate
from tests.support.simulated_logs import DAY, HOUR, Learned, simulated, tasteful


@pytest.fixture(scope="module", params=[True, False], ids=["with profiles", "no profiles"])
def learned(request: pytest.FixtureRequest) -> Learned:
    return simulated(profiles=request.param)


def _column(learned: Learned, name: str, user: int, at: int) -> np.ndarray:
    recommender = learned.recommender
    posts = np.arange(learned.log.meta.n_posts)
    return recommender.matrix(user, at, posts)[
        :, [f.name for f in recommender.features].index(name)
    ]


def _shown_before(learned: Learned, at: int) -> np.ndarray:
    """Impressions of each post in the steps before a moment, from the log itself."""
    n = learned.log.meta.n_posts
    return sum(
        np.bincount(b.post[b.at // DAY < at // DAY], minlength=n) for b in learned.log.buckets()
    )  # type: ignore[return-value]


def test_names_are_unique_and_in_the_order_of_the_spec(learned: Learned) -> None:
    names = [f.name for f in features_of(learned.store.fitted)]
    assert len(set(names)) == len(names)
    assert names[: len(FIXED)] == [f.name for f in FIXED]


def test_the_order_depends_on_the_columns_alone(learned: Learned) -> None:
    fitted = learned.store.fitted
    assert [f.name for f in features_of(fitted)] == [f.name for f in features_of(fitted)]
    more = replace(
        fitted,
        column_names=(*fitted.column_names, "mood"),
        column_codes=(*fitted.column_codes, 3),
    )
    added = {f.name for f in features_of(more)} - {f.name for f in features_of(fitted)}
    assert added == {"mood_cluster_log_ratio", "mood_topic_log_ratio", "mood_encoded"}


@pytest.mark.parametrize("name", ["user", "a[0]", "a<b", "post", "trend", "user_cluster"])
def test_whatever_a_profile_column_is_called_the_names_stay_apart(name: str) -> None:
    fitted = simulated().store.fitted
    columns = (name, *fitted.column_names[1:])
    names = [f.name for f in features_of(replace(fitted, column_names=columns))]
    assert len(set(names)) == len(names) == len(features_of(fitted))
    assert not set("[]<") & set("".join(names))


def test_each_term_of_shown_pairs_counts_alone(learned: Learned) -> None:
    features = features_of(learned.store.fitted)
    design = Design.of(np.zeros((2, len(features)), np.float32), features)
    together = [{design.columns[place] for place in group.places} for group in design.groups()]
    of_shown = [{i} for i, feature in enumerate(features) if feature.grain == SHOWN]
    assert len(of_shown) == 5
    assert all(alone in together for alone in of_shown)


def test_linear_features_are_never_missing(learned: Learned) -> None:
    linear = [i for i, f in enumerate(features_of(learned.store.fitted)) if f.weight is not None]
    posts = np.arange(learned.log.meta.n_posts)
    for user, at in ((0, -DAY), (1, 0), (100, 15 * DAY), (299, 400 * DAY)):
        assert np.isfinite(learned.recommender.matrix(user, at, posts)[:, linear]).all()


def test_before_the_data_only_priors_speak(learned: Learned) -> None:
    for name in ("segment_post_log_ratio", "user_log_ratio", "user_cluster_log_ratio",
                 "user_topic_log_ratio", "trend_log_ratio", "user_impression_count",
                 "pair_impression_count", "pair_like_count", "level_log_ratio",
                 "post_log_age", "post_log_age_beyond_1", "post_trend_1"):  # fmt: skip
        assert not _column(learned, name, 7, -5).any(), name


def test_the_age_bends_at_each_window(learned: Learned) -> None:
    at = 25 * DAY
    log_age = _column(learned, "post_log_age", 7, at)
    assert log_age.max() > np.log1p(24) > np.log1p(1) > log_age.min()
    for steps in (1, 6, 24):
        beyond = _column(learned, f"post_log_age_beyond_{steps}", 7, at)
        assert beyond == pytest.approx(np.maximum(log_age - np.log1p(steps), 0), abs=1e-6)


def test_a_post_s_age_counts_from_its_first_impression(learned: Learned) -> None:
    at = 20 * DAY + 5 * HOUR
    first = np.full(learned.log.meta.n_posts, 10**9)
    for b in learned.log.buckets():
        np.minimum.at(first, b.post, (b.at // DAY).astype(np.int64))
    expected = as_feature(np.log1p(np.where(first < 20, 20 - first, 0)))
    np.testing.assert_array_equal(_column(learned, "post_log_age", 3, at), expected)


def test_a_post_is_the_more_exposed_the_more_often_it_was_shown(learned: Learned) -> None:
    at = 20 * DAY
    shown = _shown_before(learned, at)
    impression_count = _column(learned, "post_impression_count", 3, at)
    np.testing.assert_allclose(
        impression_count, np.log((shown + 1) / (shown.mean() + 1)), atol=1e-4
    )


def test_a_moment_s_age_is_of_the_request_and_no_request_before_it_knows_it() -> None:
    learned = tasteful()
    for user, day, age in ((10, 9, -1), (10, 10, 0), (10, 29, 19), (10, 400, 390), (7, 29, -1)):
        found = _column(learned, "joined_log_age", user, day * DAY + 5 * HOUR)
        np.testing.assert_array_equal(found, as_feature(np.log(age + 1.5)))


def test_hours_are_those_of_the_database_s_clock(learned: Learned) -> None:
    table = learned.store.fitted.encoded_hour
    for hour in (0, 7, 23):
        for day in (-3, 0, 12, 80):
            found = _column(learned, "hour_log_odds", 5, day * DAY + hour * HOUR + 1800)
            np.testing.assert_array_equal(found, np.float32(table[hour]))


def test_what_a_user_saw_is_counted_in_the_steps_before(learned: Learned) -> None:
    user, at = 6, 18 * DAY + 7 * HOUR
    rows = [b[(b.user == user) & (b.at // DAY < 18)] for b in learned.log.buckets()]
    n_shown = sum(len(part) for part in rows)
    n = learned.log.meta.n_posts
    shown = sum(np.bincount(part.post, minlength=n) for part in rows)
    liked = sum(np.bincount(part.post, weights=part.liked, minlength=n) for part in rows)
    np.testing.assert_allclose(
        _column(learned, "user_impression_count", user, at), np.log1p(n_shown), 1e-6
    )
    np.testing.assert_array_equal(_column(learned, "pair_impression_count", user, at), shown)
    np.testing.assert_array_equal(_column(learned, "pair_like_count", user, at), liked)


def test_a_topic_is_judged_by_the_user_s_last_steps_too(learned: Learned) -> None:
    user, at = 6, 18 * DAY + 7 * HOUR
    topic = learned.store.fitted.topic
    for days in WINDOWS:
        rows = [b[(b.user == user) & (b.at // DAY < 18)] for b in learned.log.buckets()]
        rows = [b[b.at // DAY >= 18 - days] for b in rows]
        shown = sum(np.bincount(topic[b.post], minlength=topic.max() + 1) for b in rows)
        found = _column(learned, f"user_topic_impressions_{days}", user, at)
        np.testing.assert_array_equal(found, as_feature(np.log1p(shown))[topic])
    assert (_column(learned, f"user_topic_log_ratio_{days}", user, at) != 0).any()


def test_all_that_a_user_was_shown_of_a_topic_counts(learned: Learned) -> None:
    user, at = 6, 18 * DAY + 7 * HOUR
    topic = learned.store.fitted.topic
    rows = [b[(b.user == user) & (b.at // DAY < 18)] for b in learned.log.buckets()]
    shown = sum(np.bincount(topic[b.post], minlength=topic.max() + 1) for b in rows)
    assert len(set(shown.tolist())) > 1
    found = _column(learned, "user_topic_impression_count", user, at)
    np.testing.assert_array_equal(found, as_feature(np.log1p(shown))[topic])


def test_what_a_pair_was_shown_just_now_counts_apart(learned: Learned) -> None:
    day, n = 28, learned.log.meta.n_posts
    for steps in WINDOWS:
        seen = 0
        for user in range(0, 300, 10):
            rows = [b[(b.user == user) & (b.at // DAY < day)] for b in learned.log.buckets()]
            rows = [b[b.at // DAY >= day - steps] for b in rows]
            shown = sum(np.bincount(b.post, minlength=n) for b in rows)
            found = _column(learned, f"pair_impressions_{steps}", user, day * DAY)
            np.testing.assert_array_equal(found, shown)
            seen += found.sum()
        assert seen > 0


def test_a_topic_s_trend_is_of_all_its_posts(learned: Learned) -> None:
    fitted, day = learned.store.fitted, 20
    topic, n = fitted.topic, fitted.n_topics
    for steps in WINDOWS:
        recent, totals = np.zeros((2, 2, n))
        for rows in learned.log.buckets():
            age = day - (rows.at // DAY).astype(np.int64)
            for label, of in enumerate((np.ones(len(rows)), rows.liked)):
                early = age > 0
                weight = of * np.where(early, 0.5 ** ((age - 1) / steps), 0)
                totals[label] += np.bincount(topic[rows.post], of * early, n)
                recent[label] += np.bincount(topic[rows.post], weight, n)
        expected = recent[0] * base_rate(totals[1], totals[0])
        found = _column(learned, f"topic_trend_{steps}", 3, day * DAY)
        ratio = np.log((recent[1] + 1) / (expected + 1))
        np.testing.assert_allclose(found, ratio[topic], atol=1e-4)
    assert found.any()


def test_a_topic_does_better_in_some_contexts(learned: Learned) -> None:
    fitted, user = learned.store.fitted, 5
    table = fitted.refits[-1].topic_ratio
    for day, hour in ((28, 0), (29, 7), (27, 23)):
        at = day * DAY + hour * HOUR + 1800
        log_age = _column(learned, "post_log_age", user, at)
        codes = learned.store.catalogue.codes[user]
        code = zip(fitted.column_names, fitted.column_offsets, codes, strict=False)
        contexts = {f"{name}_topic": 41 + first + own for name, first, own in code}
        contexts |= {"topic_hour": hour, "topic_weekday": 24 + day % 7}
        contexts["topic_age"] = 31 + age_of(log_age)
        for name, row in contexts.items():
            expected = table[row, fitted.topic].astype(np.float32)
            np.testing.assert_array_equal(_column(learned, f"{name}_log_ratio", user, at), expected)
    assert table.shape == (41 + sum(fitted.column_codes), fitted.n_topics + 1)


def test_posts_of_one_topic_have_no_features_of_topics(learned: Learned) -> None:
    fitted = learned.store.fitted
    of_one = replace(fitted, vocabulary=replace(fitted.vocabulary, n_topics=1))
    names = {f.name for f in features_of(fitted)} - {f.name for f in features_of(of_one)}
    of_columns = {f"{name}_topic_log_ratio" for name in fitted.column_names}
    assert names == {f.name for f in TOPICAL} | of_columns


def test_factors_are_where_the_user_stands_times_where_the_posts_do() -> None:
    learned = tasteful()
    user, last = 4, 29
    refit = learned.store.fitted.refit(last)
    rows = [b[(b.user == user) & (b.at // DAY < last)] for b in learned.log.buckets()]
    post, liked = (np.concatenate([getattr(p, n) for p in rows]) for n in ("post", "liked"))
    evidence = UserEvidence(refit.factors, np.zeros(1, np.int64))
    evidence.update(np.zeros(len(post), np.int64), post, liked)
    position = evidence.factors_of(np.arange(1), refit.strengths.user)[0]
    assert len(position) > 1
    found = _column(learned, "factor_log_ratio", user, last * DAY)
    np.testing.assert_allclose(found, refit.factors.post @ position, atol=1e-6)
    assert np.abs(found).max() > 0.1
