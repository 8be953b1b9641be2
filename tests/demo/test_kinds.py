from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest

from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Truth
from feedrank.log.impressions import Impressions
from feedrank.params import DemoParams

SMALL = DemoParams(kind="news", seed=5, users=600, posts=800, days=12, effect_scale=1.0)
AGEING = [name for name, kind in KINDS.items() if kind.life is not None]
HALF_LIFE = 5  # hours


def network_of(kind: str, **changed: float) -> Network:
    return Network.simulate(replace(SMALL, kind=kind, **changed))


def views_of(network: Network) -> pd.DataFrame:
    rows = Impressions.joined(network.impressions())
    columns = {"user": rows.user, "post": rows.post, "at": rows.at, "liked": rows.liked}
    return pd.DataFrame({name: np.asarray(c).astype(np.int64) for name, c in columns.items()})


def decayed_likes(views: pd.DataFrame) -> np.ndarray:
    """Of each view's post, likes before the view's hour, each halved every five hours."""
    hour = views["at"].to_numpy() // 3600
    likes = np.zeros((hour.max() + 2, views["post"].max() + 1))
    np.add.at(likes, (hour + 1, views["post"]), views["liked"])
    for i in range(1, len(likes)):
        likes[i] += likes[i - 1] * 0.5 ** (1 / HALF_LIFE)
    return likes[hour, views["post"]]


def like_rates(views: pd.DataFrame) -> np.ndarray:
    """Of each view's post, the smoothed like rate before the view's hour."""
    hour = views["at"].to_numpy() // 3600
    counts = np.zeros((2, hour.max() + 2, views["post"].max() + 1))
    np.add.at(counts[0], (hour + 1, views["post"]), views["liked"])
    np.add.at(counts[1], (hour + 1, views["post"]), 1)
    likes, shown = counts.cumsum(axis=1)[:, hour, views["post"]]
    return (likes + 50 * views["liked"].mean()) / (shown + 50)


def hit_rate(views: pd.DataFrame, score: np.ndarray) -> float:
    """Share of the last two days' lists whose five best posts hold a like."""
    late = views.assign(score=score, day=views["at"] // 86_400)
    late = late[late["day"] >= SMALL.days - 2].sort_values("score", ascending=False, kind="stable")
    best = late.groupby(["user", "day"]).head(5)
    return float(best.groupby(["user", "day"])["liked"].max().mean())


def test_parameters_take_the_kinds_that_there_are() -> None:
    assert list(get_args(get_type_hints(DemoParams)["kind"])) == list(KINDS)


@pytest.mark.parametrize("kind", ["news", "news_clicked", "video"])
def test_where_posts_age_recent_likes_beat_the_like_rate(kind: str) -> None:
    views = views_of(network_of(kind, users=1_500, posts=1_500))
    recent, rate = hit_rate(views, decayed_likes(views)), hit_rate(views, like_rates(views))
    assert recent > rate + 0.02
    assert rate > hit_rate(views, np.random.default_rng(0).random(len(views))) - 0.02


@pytest.mark.parametrize("kind", AGEING)
def test_the_smallest_network_has_a_feed_without_a_post_twice(kind: str) -> None:
    views = views_of(network_of(kind, users=20, posts=50, days=10))
    assert len(views) > 100
    assert not views.duplicated(["user", "post", "at"]).any()


def test_no_news_is_shown_or_liked_before_it_is_published() -> None:
    network = network_of("news")
    views, lives = views_of(network), network.truth.lives
    assert lives is not None
    assert (views["at"].to_numpy() >= lives.begins[views["post"]]).all()
    latest = int(lives.begins.argmax())
    assert network.truth.probabilities(0, int(lives.begins[latest]) - 1)[latest] == 0
    assert network.truth.probabilities(0, int(lives.begins[latest]) + 1)[latest] > 0


def test_only_clicked_lists_are_in_the_log_of_clicked_lists() -> None:
    lists = views_of(network_of("news_clicked")).groupby(["user", "at"])["liked"]
    assert (lists.max() == 1).all()
    assert (views_of(network_of("news")).groupby(["user", "at"])["liked"].max() == 0).any()


def test_a_list_of_news_has_one_time_and_up_to_40_posts() -> None:
    sizes = views_of(network_of("news")).groupby(["user", "at"]).size()
    assert sizes.max() <= 40
    assert sizes.median() > 10


def test_video_shows_pairs_again() -> None:
    views = views_of(network_of("video"))
    assert views.duplicated(["user", "post"]).mean() > 0.1


@pytest.mark.parametrize("kind", AGEING)
def test_the_truth_foretells_the_likes_of_posts_that_age(kind: str) -> None:
    network = network_of(kind, users=1_500)
    if KINDS[kind].feed.clicked_only:
        pytest.skip("its log is chosen by its likes")
    views = views_of(network)
    chance = network.truth.probability(*(views[c].to_numpy() for c in ("user", "post", "at")))
    assert chance.mean() == pytest.approx(views["liked"].mean(), rel=0.03)


def test_a_saved_truth_keeps_the_lives_of_posts(tmp_path: Path) -> None:
    truth = network_of("video").truth
    truth.save(tmp_path)
    again = Truth.load(tmp_path)
    assert truth.lives is not None
    assert again.lives is not None
    assert again.lives.span == truth.lives.span
    every = np.arange(truth.n_posts)
    at = np.full(truth.n_posts, 500_000)
    np.testing.assert_array_equal(again.lives.weight(every, at), truth.lives.weight(every, at))


def test_without_effects_the_age_of_a_post_is_nothing() -> None:
    chance = network_of("news", effect_scale=0.0).truth.probabilities(0, 6 * 86_400)
    assert np.unique(chance.round(12)).size == 2  # not yet published, and all others
