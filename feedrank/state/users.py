"""User state: a few users' counts and factors as of a step, and the tables read from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from feedrank.state.counts.by_user import PairCounts, UserCounts
from feedrank.state.counts.tally import Tally, ordered_sum
from feedrank.state.fitted import FittedParameters
from feedrank.state.posts.factors import UserEvidence
from feedrank.state.posts.refit import Refit
from feedrank.state.posts.taste_words import WordEvidence
from feedrank.state.rates import WINDOW_STRENGTH
from feedrank.state.shared import WINDOWS, SharedState
from feedrank.stats.shrinkage import as_feature, log_ratio, ratio

NO_MOMENTS = np.zeros((0, 0), np.int32)
WIDTHS = np.array(WINDOWS)


class UserState:
    """A few users as of a step of a refit: their profiles, counts and earlier pairs.

    Training updates it with a bucket step after step, serving with one user's whole history before
    the moment.

    Args:
        fitted: parameters.
        refit: that the step belongs to.
        codes: profile codes, shape (n_users, n_columns).
        pairs: of these users' impressions.
        moments: days of their moments, shape (n_users, n_moments).
        recent: of their impressions in the last steps; None: `pairs` has these too.
    """

    def __init__(
        self,
        fitted: FittedParameters,
        refit: Refit,
        codes: np.ndarray,
        pairs: PairCounts,
        moments: np.ndarray = NO_MOMENTS,
        recent: PairCounts | None = None,
    ) -> None:
        self.fitted = fitted
        self.refit = refit
        self.codes = codes
        self.moments = moments
        self.segment = fitted.knowing(refit.first_step).segment(codes)
        self.pairs = pairs
        self.recent = pairs if recent is None else recent
        groupings = {
            "cluster": (refit.clusters.cluster, fitted.n_clusters),
            "topic": (fitted.topic, fitted.n_topics),
            **fitted.plugins.parts,
        }
        self.counts = UserCounts(len(codes), groupings)
        self.evidence = UserEvidence(refit.factors, self.segment)
        self.words = WordEvidence(refit.words, refit.factors.rate, self.segment)

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Add impressions; `user` counts from 0 within these users."""
        self.counts.update(user, post, liked)
        self.evidence.update(user, post, liked)
        self.words.update(user, post, liked)


class Latest(NamedTuple):
    """Topics of some users within the last steps, by window, (len(WINDOWS), n, n_topics) each.

    Attributes:
        ratio: log ratio of likes over those that all of the users' past lets expect.
        n_shown: log1p of impressions.
    """

    ratio: np.ndarray
    n_shown: np.ndarray


@dataclass(frozen=True)
class UserTables:
    """State of some users, relative to their segment.

    Attributes:
        state: of these users and others.
        step: as of which.
        users: rows of the state, ascending, shape (n,).
        of_clusters: impressions and likes by cluster, int64, shape (n, n_clusters).
        of_topics: likewise by topic, shape (n, n_topics).
        like_rate: log ratio of likes over expected, shape (n,).
        cluster: log ratio within a cluster beyond the like rate, shape (n, n_clusters).
        topic: log ratio within a topic beyond the like rate, shape (n, n_topics).
        factors: the user's, of the refit, float64, shape (n, n_factors).
        word: log ratio of a taste word beyond the like rate, shape (n, n_words + 1), 0 at last.
        topic_rate: likes expected of an impression by topic, float64, shape (n, n_topics).
    """

    state: UserState
    step: int
    users: np.ndarray
    of_clusters: Tally
    of_topics: Tally
    like_rate: np.ndarray
    cluster: np.ndarray
    topic: np.ndarray
    factors: np.ndarray
    word: np.ndarray
    topic_rate: np.ndarray

    @cached_property
    def n_shown(self) -> np.ndarray:
        """log1p of impressions, float32, shape (n,)."""
        return np.log1p(self.of_clusters.shown.sum(1)).astype(np.float32)

    @cached_property
    def topic_shown(self) -> np.ndarray:
        """log1p of impressions of a topic, float32, shape (n, n_topics)."""
        return as_feature(np.log1p(self.of_topics.shown))

    @cached_property
    def latest(self) -> Latest:
        """Counts of the last steps by topic; made when asked for."""
        fitted, recent = self.state.fitted, self.state.recent
        part = (fitted.topic, fitted.n_topics)
        counts = recent.latest(self.users, self.step, WIDTHS, *part)
        expected = counts.shown * self.topic_rate
        shown = as_feature(np.log1p(counts.shown))
        return Latest(log_ratio(counts.liked, expected, WINDOW_STRENGTH), shown)


def user_tables(state: UserState, shared: SharedState, users: np.ndarray) -> UserTables:
    """Tables of some users, ascending rows of the state, by their counts and the shared rates."""
    strengths = state.refit.strengths
    segment = state.segment[users]
    cluster, topic = (state.counts.of(name)[users] for name in ("cluster", "topic"))
    expected = cluster.shown * shared.cluster_rate[segment]
    liked, total = cluster.liked.sum(1), ordered_sum(expected.T)
    like_rate = ratio(liked, total, strengths.user)
    topic_rate, by = shared.topic_rate[segment], like_rate[:, None]
    in_topic = ratio(topic.liked, topic.shown * topic_rate * by, strengths.user_topic)
    return UserTables(
        state,
        shared.step,
        users,
        cluster,
        topic,
        like_rate=np.log(like_rate).astype(np.float32),
        cluster=log_ratio(cluster.liked, expected * by, strengths.user_cluster),
        topic=as_feature(np.log(in_topic)),
        factors=state.evidence.factors_of(users, strengths.user),
        word=state.words.log_ratios(users, like_rate),
        topic_rate=topic_rate * by * in_topic,
    )
