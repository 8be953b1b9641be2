"""Latent side of the simulated network: clusters of posts, impression shares, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from feedrank.demo.lives import LifeSpan, Lives
from feedrank.demo.population import METROPOLES, N_AGE_CLASSES, TOPICS, age_class
from feedrank.demo.truth import N_CLUSTERS, N_FACTORS, Effects, Truth
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import DemoParams

ORIGIN = "2021-10-01T00:00:00"
NEVER_SHOWN = 192 / 7_023  # posts of the reference installation without an impression
TOPIC_LEAN = 0.5  # spread of a topic's preference for the clusters, in logs: correlated, not equal
AGE_SCORES = np.array([-1.0, -0.45, 1.0])  # the middle class leans to the young
# Spreads of log impression shares. The reference installation has 6,423 to 22,673 views a post.
POST_SPREAD, CLASS_SPREAD, CLUSTER_SPREAD = 0.16, 0.12, 0.12
N_CALIBRATION = 50_000  # draws; the standard error of the base rate is 0.0003
FEED_HOURS = (6 * 3600 + 1_350, 22 * 3600 + 1_350)  # seconds of the day, by the middle of a session
# With this noise a linear classifier finds the cluster of nine in ten pictures.
EMBEDDING_WIDTH, EMBEDDING_NOISE = 32, 1.5
SCORED = ("age", "gender", "country", "exp_group")  # columns that meet the clusters


@dataclass(frozen=True)
class Latent:
    """Properties of posts that the tables do not hold.

    Attributes:
        cluster: latent cluster of each post, shape (n_posts,).
        scores: of each of `SCORED`, a number of [-1, 1] for each cluster, shape (N_CLUSTERS,): -1
            where the column's first levels like it most, 1 where its last levels do.
        was_shown: bool, shape (n_posts,).
        impression_share: of each post among the impressions of an age class, shape
            (N_AGE_CLASSES, n_posts); rows add up to 1.
    """

    cluster: np.ndarray
    scores: dict[str, np.ndarray]
    was_shown: np.ndarray
    impression_share: np.ndarray

    @classmethod
    def draw(cls, topics: np.ndarray, rng: np.random.Generator) -> Latent:
        """Clusters, never-shown posts and impression shares for posts of these topics."""
        cluster = draw_clusters(topics, rng)
        ends = np.linspace(-1, 1, N_CLUSTERS)
        scores = {column: rng.permutation(ends) for column in SCORED}
        was_shown = np.ones(len(topics), dtype=bool)
        n_never = max(1, round(NEVER_SHOWN * len(topics)))
        was_shown[rng.choice(len(topics), n_never, replace=False)] = False
        return cls(cluster, scores, was_shown, _impression_share(cluster, was_shown, rng))


def draw_clusters(topics: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cluster for each post: topics prefer some clusters; all are about equally large."""
    sizes = np.array([np.sum(topics == t) for t in TOPICS], dtype=float)
    share = np.exp(TOPIC_LEAN * rng.standard_normal((len(TOPICS), N_CLUSTERS)))
    for _ in range(100):  # proportional fitting to both margins; it has converged long before
        share *= (sizes / share.sum(axis=1))[:, None]
        share *= sizes.sum() / N_CLUSTERS / share.sum(axis=0)
    cluster = np.empty(len(topics), dtype=np.int64)
    for topic, weights in zip(TOPICS, share, strict=True):
        here = np.flatnonzero(topics == topic)
        cluster[here] = rng.choice(N_CLUSTERS, len(here), p=weights / weights.sum())
    return cluster


def draw_truth(
    params: DemoParams,
    users: pd.DataFrame,
    topics: np.ndarray,
    latent: Latent,
    effects: Effects,
    life: LifeSpan | None,
    rng: np.random.Generator,
) -> Truth:
    """The truth of a network; the intercept makes the liked share of impressions the base rate."""
    n_users, n_posts = len(users), len(topics)
    of_topic = effects.topic * rng.standard_normal(len(TOPICS))
    of_cluster = effects.cluster * rng.standard_normal(N_CLUSTERS)
    place = pd.Index(TOPICS).get_indexer(pd.Index(topics))
    truth = Truth(
        effects=effects,
        origin=ORIGIN,
        days=params.days,
        intercept=0.0,
        cluster=latent.cluster,
        post_offset=of_topic[place] + of_cluster[latent.cluster],
        quality=effects.quality * rng.standard_normal(n_posts),
        post_factors=rng.standard_normal((n_posts, N_FACTORS)) / np.sqrt(N_FACTORS),
        user_offset=_profile_offset(users, effects),
        like_rate=effects.like_rate * rng.standard_normal(n_users),
        affinity=_affinity(users, latent, effects, rng),
        taste=effects.taste * rng.standard_normal((n_users, N_CLUSTERS)),
        user_factors=effects.factors * rng.standard_normal((n_users, N_FACTORS)),
        was_shown=latent.was_shown,
    )
    if life is not None:
        scaled = replace(life, pull=life.pull * params.effect_scale)
        truth = replace(truth, lives=Lives.draw(scaled, params.days, truth.quality, rng))
    return replace(truth, intercept=_intercept(truth, users, latent.impression_share, rng))


def draw_embeddings(truth: Truth, rng: np.random.Generator) -> np.ndarray:
    """Embeddings of pictures, which tell clusters and factors through noise, (n_posts, WIDTH)."""
    member = np.eye(N_CLUSTERS)[truth.cluster]
    known = np.hstack([member, truth.post_factors])
    told = known @ rng.standard_normal((known.shape[1], EMBEDDING_WIDTH))
    return (told + EMBEDDING_NOISE * rng.standard_normal(told.shape)).astype(np.float32)


def _impression_share(
    cluster: np.ndarray, was_shown: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    n_posts = len(cluster)
    log = POST_SPREAD * np.clip(rng.standard_normal(n_posts), -1.8, 2.6)
    log = log + CLASS_SPREAD * np.clip(rng.standard_normal((N_AGE_CLASSES, n_posts)), -2, 2)
    log += CLUSTER_SPREAD * rng.standard_normal((N_AGE_CLASSES, N_CLUSTERS))[:, cluster]
    weights = np.exp(log) * was_shown
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _profile_offset(users: pd.DataFrame, effects: Effects) -> np.ndarray:
    offset = np.asarray(effects.exp_group)[users["exp_group"].to_numpy()]
    offset = offset + effects.metropolis * users["city"].isin(METROPOLES).to_numpy()
    offset += effects.abroad * (users["country"] != "Russia").to_numpy()
    return np.asarray(offset + effects.gender * users["gender"].to_numpy())


def _affinity(
    users: pd.DataFrame, latent: Latent, effects: Effects, rng: np.random.Generator
) -> np.ndarray:
    """Logits that age and other columns add for each cluster, shape (n_users, N_CLUSTERS)."""
    sizes = (
        effects.age_clusters,
        effects.gender_clusters,
        effects.country_clusters,
        effects.exp_group_clusters,
    )
    affinity = np.zeros((len(users), N_CLUSTERS))
    for column, size in zip(SCORED, sizes, strict=True):
        level = _level_scores(users[column], rng)
        affinity += size * level[:, None] * latent.scores[column]
    return affinity


def _level_scores(column: pd.Series[int] | pd.Series[str], rng: np.random.Generator) -> np.ndarray:
    """Score of each user's level, between -1 and 1, shape (n_users,)."""
    if column.name == "age":
        return np.asarray(AGE_SCORES[age_class(column.to_numpy())])
    codes, levels = pd.factorize(column, sort=True)
    return np.asarray(rng.permutation(np.linspace(-1, 1, max(len(levels), 2)))[codes])


def _intercept(
    truth: Truth, users: pd.DataFrame, impression_share: np.ndarray, rng: np.random.Generator
) -> float:
    user = rng.integers(0, truth.n_users, N_CALIBRATION)
    post, classes = np.empty_like(user), age_class(users["age"].to_numpy())[user]
    for one, shares in enumerate(impression_share):
        here = np.flatnonzero(classes == one)
        post[here] = rng.choice(truth.n_posts, len(here), p=shares)
    day = rng.integers(0, truth.days, N_CALIBRATION)
    at = day * SECONDS_A_DAY + rng.integers(*FEED_HOURS, N_CALIBRATION)
    if truth.lives is not None:
        point = rng.random((N_CALIBRATION, 1))
        post = truth.lives.posts_at(point, impression_share, classes, at)[:, 0]
    logit = truth.logit(user, post, at)
    return float(brentq(lambda b: expit(logit + b).mean() - truth.effects.base_rate, -20, 20))
