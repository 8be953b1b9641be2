from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifier

from feedrank.demo.population import age_class
from feedrank.demo.simulation import BLOCK_USERS, FeedRows, Network
from feedrank.demo.truth import N_CLUSTERS, Effects, Truth
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import DemoParams

PARAMS = DemoParams(kind="course", seed=20, users=4_000, posts=7_023, days=90, effect_scale=1.0)
TINY = DemoParams(kind="course", seed=1, users=600, posts=60, days=12, effect_scale=1.0)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.simulate(PARAMS)


@pytest.fixture(scope="module")
def rows(network: Network) -> FeedRows:
    return whole_feed(network)


@pytest.fixture(scope="module")
def views(network: Network, rows: FeedRows) -> pd.DataFrame:
    """One row an impression, with what the tables and the truth know of it."""
    feed = as_frame(rows)
    shown = feed[~feed["is_like"]].reset_index(drop=True)
    profile = network.users.iloc[shown["user"]].reset_index(drop=True)
    shown = pd.concat([shown, profile], axis=1)
    return shown.assign(
        day=shown["at"] // SECONDS_A_DAY,
        hour=shown["at"] % SECONDS_A_DAY // 3600,
        age_class=age_class(shown["age"].to_numpy()),
        cluster=network.truth.cluster[shown["post"]],
        topic=network.posts["topic"].to_numpy()[shown["post"]],
    )


def whole_feed(network: Network) -> FeedRows:
    blocks = [network.feed(block) for block in range(network.n_blocks)]
    names = FeedRows.__dataclass_fields__
    return FeedRows(*(np.concatenate([getattr(b, name) for b in blocks]) for name in names))


def as_frame(rows: FeedRows) -> pd.DataFrame:
    return pd.DataFrame(vars(rows))


def like_rates(views: pd.DataFrame, by: str) -> pd.Series[float]:
    return views.groupby(by)["target"].mean()


# --- users and posts


def test_ages_lie_between_14_and_95_around_a_median_of_24(network: Network) -> None:
    age = network.users["age"]
    assert age.min() >= 14
    assert age.max() <= 95
    assert age.median() == pytest.approx(24, abs=1)
    assert age.mean() == pytest.approx(27, abs=1)


def test_there_are_five_groups_of_the_experiment_equally_large(network: Network) -> None:
    shares = network.users["exp_group"].value_counts(normalize=True)
    assert sorted(shares.index) == [0, 1, 2, 3, 4]
    assert shares.to_numpy() == pytest.approx(0.2, abs=0.03)


def test_most_users_are_russian_and_one_in_five_lives_in_a_metropolis(network: Network) -> None:
    assert (network.users["country"] == "Russia").mean() == pytest.approx(0.876, abs=0.02)
    metropolis = network.users["city"].isin(["Moscow", "Saint Petersburg"])
    assert metropolis.mean() == pytest.approx(0.204, abs=0.03)
    assert network.users["city"].nunique() > 150


def test_topics_have_the_sizes_and_id_ranges_of_the_reference(network: Network) -> None:
    ids = network.posts.groupby("topic")["post_id"].agg(["count", "min", "max"])
    expected = {
        "business": (510, 1, 540), "entertainment": (386, 541, 938), "politics": (417, 939, 1380),
        "sport": (510, 1381, 1917), "tech": (401, 1918, 2332), "covid": (1799, 2333, 4203),
        "movie": (3000, 4204, 7319),
    }  # fmt: skip
    for topic, (count, first, last) in expected.items():
        assert ids.loc[topic, "count"] == count
        assert first <= ids.loc[topic, "min"] <= ids.loc[topic, "max"] <= last


@pytest.mark.parametrize("n_posts", [50, 333, 20_000])
def test_any_number_of_posts_keeps_topics_apart(n_posts: int) -> None:
    posts = Network.simulate(replace(TINY, posts=n_posts)).posts
    assert len(posts) == n_posts
    assert posts["post_id"].is_unique
    assert posts["post_id"].is_monotonic_increasing
    assert (posts["topic"] != posts["topic"].shift()).sum() == posts["topic"].nunique() == 7


def test_user_ids_are_ascending_with_gaps(network: Network) -> None:
    steps = np.diff(network.users["user_id"])
    assert steps.min() == 1
    assert steps.max() > 1


def test_texts_differ_in_length_and_are_sentences(network: Network) -> None:
    texts = network.posts["text"]
    words = texts.str.split().str.len()
    assert words.quantile(0.95) > 3 * words.quantile(0.05)
    assert texts.str.fullmatch(r"([A-Z'][\w' ,:-]+\. ?)+").all()
    assert texts.nunique() > 0.99 * len(texts)


def test_a_classifier_of_texts_finds_the_latent_cluster_half_of_the_time(network: Network) -> None:
    texts = TfidfVectorizer(ngram_range=(1, 2), min_df=10).fit_transform(network.posts["text"])
    order = np.random.default_rng(0).permutation(len(network.posts))
    fit, held_out = order[:4_000], order[4_000:]
    reader = RidgeClassifier().fit(texts[fit], network.truth.cluster[fit])
    assert 0.5 < reader.score(texts[held_out], network.truth.cluster[held_out]) < 0.6


def test_latent_clusters_are_equally_large_and_not_the_topics(network: Network) -> None:
    sizes = np.bincount(network.truth.cluster, minlength=N_CLUSTERS)
    assert sizes == pytest.approx(len(network.posts) / N_CLUSTERS, rel=0.15)
    shares = pd.crosstab(network.posts["topic"], network.truth.cluster, normalize="index")
    assert shares.to_numpy().max() < 0.5
    assert shares.to_numpy().max() > 0.15


# --- the feed


def test_likes_follow_the_views_of_target_1_one_to_one(rows: FeedRows) -> None:
    liked = np.flatnonzero(rows.target == 1)
    assert np.array_equal(np.flatnonzero(rows.is_like), liked + 1)
    assert np.array_equal(rows.user[liked], rows.user[liked + 1])
    assert np.array_equal(rows.post[liked], rows.post[liked + 1])
    assert not rows.target[rows.is_like].any()


def test_a_like_comes_8_to_177_seconds_after_its_view(rows: FeedRows) -> None:
    likes = np.flatnonzero(rows.is_like)
    delay = rows.at[likes] - rows.at[likes - 1]
    assert (delay.min(), delay.max()) == (8, 177)


def test_the_next_view_comes_2_seconds_after_a_like_else_10_to_179(rows: FeedRows) -> None:
    same_session = (np.diff(rows.user) == 0) & (np.diff(rows.at // SECONDS_A_DAY) == 0)
    gap, to_view = np.diff(rows.at), ~rows.is_like[1:]
    after_like = gap[same_session & to_view & rows.is_like[:-1]]
    after_view = gap[same_session & to_view & ~rows.is_like[:-1]]
    assert np.unique(after_like).tolist() == [2]
    assert (after_view.min(), after_view.max()) == (10, 179)


def test_rows_lie_user_by_user_in_order_of_time(rows: FeedRows) -> None:
    changes = np.flatnonzero(np.diff(rows.user)) + 1
    assert len(changes) + 1 == len(np.unique(rows.user)) == PARAMS.users
    assert (np.delete(np.diff(rows.at), changes - 1) > 0).all()
    assert (np.diff(rows.user) < 0).any()  # not in order of their ids


def test_a_user_has_at_most_one_session_a_day_of_20_to_38_views(views: pd.DataFrame) -> None:
    sizes = views.groupby(["user", "day"]).size()
    assert (sizes.min(), sizes.max()) == (20, 38)
    assert sizes.mean() == pytest.approx(29, abs=0.2)
    starts = views.groupby(["user", "day"])["at"].min() % SECONDS_A_DAY
    assert starts.min() >= 6 * 3600
    assert starts.max() <= 22 * 3600


def test_no_post_comes_twice_within_a_session(views: pd.DataFrame) -> None:
    assert not views.duplicated(["user", "day", "post"]).any()
    assert views.duplicated(["user", "post"]).mean() == pytest.approx(0.045, abs=0.015)


def test_users_come_14_and_a_half_times_on_average_and_differ(views: pd.DataFrame) -> None:
    sessions = views.groupby("user")["day"].nunique()
    assert sessions.mean() == pytest.approx(14.5, abs=0.6)
    assert sessions.quantile(0.95) > 3 * sessions.quantile(0.2)


def test_192_posts_are_never_shown(network: Network, views: pd.DataFrame) -> None:
    n_views = np.bincount(views["post"], minlength=PARAMS.posts)
    assert (n_views == 0).sum() == 192
    assert np.array_equal(n_views > 0, network.truth.was_shown)


def test_the_most_shown_post_is_shown_three_to_four_times_as_often(network: Network) -> None:
    users = np.bincount(age_class(network.users["age"].to_numpy()), minlength=3)
    n_views = (users @ network.impression_share)[network.truth.was_shown]
    assert 3 < n_views.max() / n_views.min() < 4


def test_within_an_age_class_the_feed_is_random(network: Network, views: pd.DataFrame) -> None:
    young = views[views["age_class"] == 0]
    by_taste = network.truth.taste[young["user"], young["cluster"]]
    assert by_taste.mean() == pytest.approx(0, abs=0.003)
    ages = pd.crosstab(views["age_class"], views["cluster"], normalize="index")
    assert (ages.max() / ages.min()).max() > 1.15


# --- what is liked


def test_the_like_rate_drifts_from_093_to_136(views: pd.DataFrame) -> None:
    rates = views.groupby(views["day"] // 7)["target"].mean()
    assert rates.iloc[0] == pytest.approx(0.093, abs=0.006)
    assert views[views["day"] >= 83]["target"].mean() == pytest.approx(0.136, abs=0.006)
    assert views["target"].mean() == pytest.approx(0.1195, abs=0.003)


def test_likes_hang_on_the_group_of_the_experiment(views: pd.DataFrame) -> None:
    rates = like_rates(views, "exp_group").to_numpy()
    assert rates == pytest.approx([0.099, 0.143, 0.142, 0.099, 0.114], abs=0.007)


def test_likes_hang_on_city_country_and_gender(views: pd.DataFrame) -> None:
    metropolis = like_rates(
        views.assign(big=views["city"].isin(["Moscow", "Saint Petersburg"])), "big"
    )
    assert metropolis.to_numpy() == pytest.approx([0.113, 0.148], abs=0.006)
    assert like_rates(views, "gender").to_numpy() == pytest.approx([0.125, 0.111], abs=0.005)
    abroad = like_rates(views.assign(home=views["country"] == "Russia"), "home")
    assert abroad[True] - abroad[False] > 0.01


def test_likes_hang_on_the_hour_and_least_at_midday(views: pd.DataFrame) -> None:
    rates = like_rates(views, "hour")
    assert rates[6] == pytest.approx(0.14, abs=0.008)
    assert rates[22] == pytest.approx(0.14, abs=0.008)
    assert rates.loc[12:16].mean() == pytest.approx(0.107, abs=0.006)


def test_likes_hang_little_on_topic_and_not_on_os_source_or_weekday(views: pd.DataFrame) -> None:
    assert np.ptp(like_rates(views, "topic")) < 0.03
    for column in ("os", "source"):
        assert np.ptp(like_rates(views, column)) < 0.006
    middle = views[(views["day"] >= 21) & (views["day"] < 84)]
    assert np.ptp(middle.groupby(middle["day"] % 7)["target"].mean()) < 0.006


def test_the_young_like_some_clusters_three_times_more_and_the_old_the_reverse(
    views: pd.DataFrame,
) -> None:
    rates = views.pivot_table(index="age_class", columns="cluster", values="target").to_numpy()
    ratios = rates.max(axis=1) / rates.min(axis=1)
    assert 2.8 < ratios[0] < 4
    assert 2.8 < ratios[2] < 4
    assert np.corrcoef(rates[0], rates[2])[0, 1] < -0.8


def test_age_and_cluster_matter_more_than_anything_else(network: Network) -> None:
    truth = network.truth
    by_age = truth.affinity.std()
    own = np.hypot(truth.taste.std(), truth.quality.std())
    assert by_age > 2 * own
    assert by_age > truth.user_offset.std()


# --- the truth


def test_the_truth_foretells_how_often_the_log_likes(network: Network, rows: FeedRows) -> None:
    shown = ~rows.is_like
    p = network.truth.probability(rows.user[shown], rows.post[shown], rows.at[shown])
    liked = rows.target[shown]
    edges = np.quantile(p, np.linspace(0, 1, 11)[1:-1])
    tenth = np.searchsorted(edges, p)
    said = np.bincount(tenth, p) / np.bincount(tenth)
    seen = np.bincount(tenth, liked) / np.bincount(tenth)
    assert said[-1] > 3 * said[0]
    assert seen == pytest.approx(said, abs=0.005)


def test_the_truth_of_a_request_is_that_of_its_pairs(network: Network) -> None:
    posts = np.array([0, 17, 7_022])
    one_by_one = network.truth.probability(np.full(3, 11), posts, np.full(3, 5_000_000))
    assert np.array_equal(network.truth.probabilities(11, 5_000_000)[posts], one_by_one)


def test_posts_that_were_never_shown_have_a_truth_too(network: Network) -> None:
    p = network.truth.probabilities(0, 0)[~network.truth.was_shown]
    assert len(np.unique(p)) == 192


def test_a_list_hits_unless_all_of_it_is_missed(network: Network) -> None:
    lists = np.array([[0, 1, 2], [3, 4, 5]])
    users, at = np.array([4, 9]), np.array([100_000, 200_000])
    hits = network.truth.hit_probability(users, at, lists)
    p = network.truth.probabilities(9, 200_000)[[3, 4, 5]]
    assert hits[1] == pytest.approx(1 - (1 - p[0]) * (1 - p[1]) * (1 - p[2]))


def test_a_saved_truth_comes_back_equal(network: Network, tmp_path: Path) -> None:
    network.truth.save(tmp_path / "truth")
    back = Truth.load(tmp_path / "truth")
    assert back.effects == network.truth.effects
    for user, at in ((0, 0), (3_999, 7_000_000)):
        assert np.array_equal(back.probabilities(user, at), network.truth.probabilities(user, at))


# --- seeds, blocks and other networks


def test_the_same_seed_gives_the_same_network_and_another_seed_does_not() -> None:
    one, same = Network.simulate(TINY), Network.simulate(TINY)
    other = Network.simulate(replace(TINY, seed=2))
    pd.testing.assert_frame_equal(as_frame(whole_feed(one)), as_frame(whole_feed(same)))
    pd.testing.assert_frame_equal(one.posts, same.posts)
    pd.testing.assert_frame_equal(one.users, same.users)
    assert not one.users.equals(other.users)
    assert not one.posts.equals(other.posts)


def test_a_block_is_the_same_whenever_it_is_asked_for() -> None:
    network = Network.simulate(TINY)
    assert network.n_blocks == 3
    last_first = [network.feed(block) for block in (2, 1, 0)][::-1]
    in_order = whole_feed(network)
    joined = np.concatenate([rows.at for rows in last_first])
    assert np.array_equal(joined, in_order.at)
    assert np.array_equal(np.unique(last_first[1].user), np.sort(network.order[256:512]))
    assert BLOCK_USERS == 256


def test_no_two_blocks_are_drawn_alike() -> None:
    network = Network.simulate(TINY)
    comes = np.zeros((2, BLOCK_USERS, TINY.days))
    place = np.empty(TINY.users, dtype=np.int64)
    place[network.order] = np.arange(TINY.users) % BLOCK_USERS
    for block in (0, 1):
        rows = network.feed(block)
        comes[block, place[rows.user], rows.at // SECONDS_A_DAY] = 1
    assert abs(np.corrcoef(comes[0].ravel(), comes[1].ravel())[0, 1]) < 0.1


def test_impressions_are_the_views_of_the_feed() -> None:
    network = Network.simulate(TINY)
    feed = as_frame(whole_feed(network)).query("not is_like")
    shown = list(network.impressions())
    for name, column in (("user", "user"), ("post", "post"), ("at", "at"), ("liked", "target")):
        joined = np.concatenate([getattr(rows, name) for rows in shown])
        assert np.array_equal(joined, feed[column])


def test_the_log_begins_on_the_first_day_and_everyone_has_a_session() -> None:
    for seed in range(40):
        feed = Network.simulate(replace(TINY, seed=seed, users=20, days=10)).feed(0)
        assert feed.at.min() < SECONDS_A_DAY
        assert len(np.unique(feed.user)) == 20


def test_without_effects_all_posts_are_alike() -> None:
    truth = Network.simulate(replace(TINY, effect_scale=0.0)).truth
    assert truth.probabilities(5, 300_000) == pytest.approx(truth.effects.base_rate)


def test_twice_the_scale_is_twice_the_effect_at_the_same_base_rate() -> None:
    network = Network.simulate(replace(TINY, effect_scale=2.0))
    assert network.truth.effects.age_clusters == 2 * Effects().age_clusters
    feed = whole_feed(network)
    assert feed.target[~feed.is_like].mean() == pytest.approx(0.1195, abs=0.01)


def test_another_column_can_be_the_dominant_one() -> None:
    effects = Effects(age_clusters=0.0, gender_clusters=0.7)
    network = Network.simulate(TINY, effects)
    men, women = (network.truth.affinity[network.users["gender"] == g] for g in (0, 1))
    assert np.array_equal(men[0], -women[0])
    assert np.array_equal(men.min(axis=0), men.max(axis=0))
    assert men[0].max() == pytest.approx(0.7)
