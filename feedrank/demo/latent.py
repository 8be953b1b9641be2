"""How the hidden side of a simulated network is drawn: post groups, exposure, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from feedrank.demo.population import METROPOLES, N_AGE_CLASSES, TOPICS, age_class
from feedrank.demo.truth import N_FACTORS, N_GROUPS, Effects, Truth
from feedrank.log.files import SECONDS_A_DAY
from feedrank.params import DemoParams

ORIGIN = "2021-10-01T00:00:00"
NEVER_SHOWN = 192 / 7_023
TOPIC_LEAN = 0.5  # spread of a topic's preference for the groups, in logs: correlated, not equal
AGE_SCORES = np.array([-1.0, -0.45, 1.0])  # the middle class leans to the young
POST_EXPOSURE, CLASS_EXPOSURE, GROUP_EXPOSURE = 0.16, 0.12, 0.12  # spreads, in logs
N_CALIBRATION = 50_000
FEED_HOURS = (6 * 3600 + 1_350, 22 * 3600 + 1_350)  # seconds of the day, by the middle of a session
SCORED = ("age", "gender", "country", "exp_group")  # columns that meet the groups


@dataclass(frozen=True)
class Hidden:
    """What the tables do not name.

    Attributes:
        group: hidden group of each post, shape (n_posts,).
        scores: for each of `SCORED`, where the groups stand between those that its first levels
            love (-1) and those that its last ones do (1), shape (N_GROUPS,).
        was_shown: bool, shape (n_posts,).
        exposure: how often each age class is shown a post, shape (N_AGE_CLASSES, n_posts).
    """

    group: np.ndarray
    scores: dict[str, np.ndarray]
    was_shown: np.ndarray
    exposure: np.ndarray

    @classmethod
    def draw(cls, topics: np.ndarray, rng: np.random.Generator) -> Hidden:
        """Groups, never-shown posts and exposure for posts of these topics."""
        group = draw_groups(topics, rng)
        ends = np.linspace(-1, 1, N_GROUPS)
        scores = {column: rng.permutation(ends) for column in SCORED}
        was_shown = np.ones(len(topics), dtype=bool)
        hidden = max(1, round(NEVER_SHOWN * len(topics)))
        was_shown[rng.choice(len(topics), hidden, replace=False)] = False
        return cls(group, scores, was_shown, _exposure(group, was_shown, rng))


def draw_groups(topics: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A group for each post: topics prefer some groups, and all groups are about equally large."""
    sizes = np.array([np.sum(topics == t) for t in TOPICS], dtype=float)
    share = np.exp(TOPIC_LEAN * rng.standard_normal((len(TOPICS), N_GROUPS)))
    for _ in range(100):  # proportional fitting to both margins
        share *= (sizes / share.sum(axis=1))[:, None]
        share *= sizes.sum() / N_GROUPS / share.sum(axis=0)
    group = np.empty(len(topics), dtype=np.int64)
    for topic, weights in zip(TOPICS, share, strict=True):
        here = np.flatnonzero(topics == topic)
        group[here] = rng.choice(N_GROUPS, len(here), p=weights / weights.sum())
    return group


def draw_truth(
    params: DemoParams,
    users: pd.DataFrame,
    topics: np.ndarray,
    hidden: Hidden,
    effects: Effects,
    rng: np.random.Generator,
) -> Truth:
    """The truth of a network; the intercept makes the liked share of impressions the base rate."""
    n_users, n_posts = len(users), len(topics)
    of_topic = effects.topic * rng.standard_normal(len(TOPICS))
    of_group = effects.group * rng.standard_normal(N_GROUPS)
    place = pd.Index(TOPICS).get_indexer(pd.Index(topics))
    truth = Truth(
        effects=effects,
        origin=ORIGIN,
        days=params.days,
        intercept=0.0,
        group=hidden.group,
        post_offset=of_topic[place] + of_group[hidden.group],
        quality=effects.quality * rng.standard_normal(n_posts),
        post_factors=rng.standard_normal((n_posts, N_FACTORS)) / np.sqrt(N_FACTORS),
        user_offset=_profile_offset(users, effects),
        propensity=effects.propensity * rng.standard_normal(n_users),
        affinity=_affinity(users, hidden, effects, rng),
        taste=effects.taste * rng.standard_normal((n_users, N_GROUPS)),
        user_factors=effects.factors * rng.standard_normal((n_users, N_FACTORS)),
        was_shown=hidden.was_shown,
    )
    return replace(truth, intercept=_intercept(truth, users, hidden.exposure, rng))


def _exposure(group: np.ndarray, was_shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n_posts = len(group)
    log = POST_EXPOSURE * np.clip(rng.standard_normal(n_posts), -1.8, 2.6)
    log = log + CLASS_EXPOSURE * np.clip(rng.standard_normal((N_AGE_CLASSES, n_posts)), -2, 2)
    log += GROUP_EXPOSURE * rng.standard_normal((N_AGE_CLASSES, N_GROUPS))[:, group]
    weights = np.exp(log) * was_shown
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _profile_offset(users: pd.DataFrame, effects: Effects) -> np.ndarray:
    offset = np.asarray(effects.exp_group)[users["exp_group"].to_numpy()]
    offset = offset + effects.metropolis * users["city"].isin(METROPOLES).to_numpy()
    offset += effects.abroad * (users["country"] != "Russia").to_numpy()
    return np.asarray(offset + effects.gender * users["gender"].to_numpy())


def _affinity(
    users: pd.DataFrame, hidden: Hidden, effects: Effects, rng: np.random.Generator
) -> np.ndarray:
    """What age and other columns add for each group, shape (n_users, N_GROUPS)."""
    sizes = (effects.age_groups, effects.gender_groups, effects.country_groups, effects.exp_groups)
    affinity = np.zeros((len(users), N_GROUPS))
    for column, size in zip(SCORED, sizes, strict=True):
        level = _level_scores(users[column], rng)
        affinity += size * level[:, None] * hidden.scores[column]
    return affinity


def _level_scores(column: pd.Series[int] | pd.Series[str], rng: np.random.Generator) -> np.ndarray:
    """Where each user's level stands between -1 and 1; shape (n_users,)."""
    if column.name == "age":
        return np.asarray(AGE_SCORES[age_class(column.to_numpy())])
    codes, levels = pd.factorize(column, sort=True)
    return np.asarray(rng.permutation(np.linspace(-1, 1, max(len(levels), 2)))[codes])


def _intercept(
    truth: Truth, users: pd.DataFrame, exposure: np.ndarray, rng: np.random.Generator
) -> float:
    user = rng.integers(0, truth.n_users, N_CALIBRATION)
    post, classes = np.empty_like(user), age_class(users["age"].to_numpy())[user]
    for one, shares in enumerate(exposure):
        here = np.flatnonzero(classes == one)
        post[here] = rng.choice(truth.n_posts, len(here), p=shares)
    day = rng.integers(0, truth.days, N_CALIBRATION)
    at = day * SECONDS_A_DAY + rng.integers(*FEED_HOURS, N_CALIBRATION)
    logit = truth.logit(user, post, at)
    return float(brentq(lambda b: expit(logit + b).mean() - truth.effects.base_rate, -20, 20))
