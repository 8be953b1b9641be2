"""Prior weights of everything that is shrunk, from what the groups leave unexplained."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from feedrank.counts import Tally, tally
from feedrank.encodings import Encodings, Strengths
from feedrank.history import History
from feedrank.posts import post_state
from feedrank.priors import fit_strength, ratio
from feedrank.state import SharedCounts, column_evidence, group_rates


def fit_strengths(
    encodings: Encodings, shared: SharedCounts, history: History, codes: np.ndarray, step: int
) -> Strengths:
    """Prior weights from everything before a step, the end of the warm-up.

    Args:
        encodings: with the usual weights.
        shared: counts over time.
        history: of all users.
        codes: profile codes, shape (n_users, n_columns).
        step: the first that is not looked at.
    """
    shape = (encodings.n_segments, encodings.n_posts)
    counts = shared.by_post.before(step).reshape(*shape)
    former = shared.by_post.before(step // 2).reshape(*shape)
    cluster_rate = group_rates(encodings.groups.cluster, encodings.n_groups, counts)
    topic_rate = group_rates(encodings.topic, encodings.n_topics, counts)
    segment = encodings.segment(codes)
    cluster = _by_user(history, encodings.groups.cluster, encodings.n_groups, step)
    topic = _by_user(history, encodings.topic, encodings.n_topics, step)
    expected = cluster.shown * cluster_rate[segment]
    user = fit_strength(cluster.liked.sum(1), cluster.shown.sum(1), expected.sum(1))
    propensity = ratio(cluster.liked.sum(1), expected.sum(1), user)[:, None]
    posts = post_state(encodings.groups, counts)
    return Strengths(
        user=user,
        user_cluster=fit_strength(cluster.liked, cluster.shown, expected * propensity),
        user_topic=fit_strength(
            topic.liked, topic.shown, topic.shown * topic_rate[segment] * propensity
        ),
        segment_post=fit_strength(counts.liked, counts.shown, counts.shown * posts.rate),
        trend=_trend(former, counts, posts.rate),
        columns=_columns(encodings, shared.by_column.before(step), cluster_rate),
    )


def _by_user(history: History, group: np.ndarray, n_groups: int, step: int) -> Tally:
    n_users = len(history.offsets) - 1
    user = np.repeat(np.arange(n_users), np.diff(history.offsets))
    early = np.flatnonzero(np.asarray(history.step) < step)
    liked = np.unpackbits(history.liked)[early]
    key = user[early] * n_groups + group[history.post[early]]
    return tally(key, liked, n_users * n_groups).reshape(n_users, n_groups)


def _trend(former: Tally, counts: Tally, rate: np.ndarray) -> float:
    """How far likes of the second half stray from what the whole lets expect."""
    later = Tally(counts.shown - former.shown, counts.liked - former.liked)
    expected = (later.shown * rate).sum(0)
    level = later.liked.sum() / max(expected.sum(), 1e-9)
    return fit_strength(later.liked.sum(0), later.shown.sum(0), expected * level)


def _columns(encodings: Encodings, by_column: Tally, cluster_rate: np.ndarray) -> tuple[float, ...]:
    liked, expected = column_evidence(encodings, by_column, cluster_rate)
    shown = by_column.shown.reshape(-1, encodings.n_segments, encodings.n_groups).sum(1)
    overall = ratio(liked.sum(1), expected.sum(1), 1.0)[:, None]
    edges = encodings.column_offsets
    return tuple(
        fit_strength(liked[low:high], shown[low:high], (expected * overall)[low:high])
        for low, high in pairwise(edges)
    )
