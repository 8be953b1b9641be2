"""`Feature`, the ordered spec, and `assemble`: (users, posts, moments, state) -> float32 matrix."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from feedrank.features.question import Question
from feedrank.state.fitted import FittedParameters


@dataclass(frozen=True)
class Feature:
    """One column of the matrix.

    Attributes:
        name: as in the manifest.
        read: the values for a question, shape (n,), or one number for all.
        is_linear: log ratios and log-odds, never NaN, which the first score adds up.
        words: what it says, for people.
    """

    name: str
    read: Callable[[Question], np.ndarray | float]
    is_linear: bool
    words: str


def features_of(fitted: FittedParameters) -> tuple[Feature, ...]:
    """The ordered spec: fixed columns, then two for each profile column of this network."""
    columns = list(enumerate(fitted.column_names))
    by_cluster = [
        Feature(
            f"{name}_cluster_log_ratio",
            partial(_column_ratio, column=i),
            True,
            f"people with this {name} like such posts",
        )
        for i, name in columns
        if i != fitted.segment_column
    ]
    encoded = [
        Feature(f"{name}_encoded", partial(_encoded, column=i), False, f"the user's {name}")
        for i, name in columns
    ]
    return _named_apart((*FIXED, *by_cluster, *encoded))


def _named_apart(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """The same features under names that XGBoost takes, whatever a profile column is called."""
    names: dict[str, Feature] = {}
    for feature in features:
        name = re.sub(r"[\[\]<]", "_", feature.name)
        while name in names:
            name += "_"
        names[name] = replace(feature, name=name)
    return tuple(names.values())


def assemble(features: Sequence[Feature], question: Question) -> np.ndarray:
    """The named features of each pair, float32, shape (n, n_features).

    Training and serving both come through here, and every value is computed row by row from
    tables, so a pair has the same bits in a batch of a million and alone.

    >>> from types import SimpleNamespace
    >>> rate = Feature("like_rate", lambda q: q.rate[q.post], is_linear=False, words="well liked")
    >>> level = Feature("level", lambda q: 2.0, is_linear=False, words="the level")
    >>> question = SimpleNamespace(post=np.array([1, 0]), rate=np.array([0.25, 0.5]))
    >>> assemble([rate, level], question)
    array([[0.5 , 2.  ],
           [0.25, 2.  ]], dtype=float32)
    """
    matrix = np.empty((len(question.post), len(features)), dtype=np.float32)
    for column, feature in enumerate(features):
        matrix[:, column] = feature.read(question)
    return matrix


def _column_ratio(q: Question, column: int) -> np.ndarray:
    offset = q.users.fitted.column_offsets[column]
    return np.asarray(q.shared.columns[offset + q.codes(column), q.cluster])


def _encoded(q: Question, column: int) -> np.ndarray:
    return np.asarray(q.users.fitted.encoded[column][q.codes(column)])


FIXED = (
    Feature(
        "post_logit",
        lambda q: q.shared.post_logit[q.segment, q.post],
        True,
        "people like this user like this post",
    ),
    Feature(
        "segment_post_log_ratio",
        lambda q: q.shared.segment_post[q.segment, q.post],
        True,
        "this post does better with people like this user than others of its cluster",
    ),
    Feature(
        "user_log_ratio", lambda q: q.tables.like_rate[q.of], True, "this user likes more often"
    ),
    Feature(
        "user_cluster_log_ratio",
        lambda q: q.tables.cluster[q.of, q.cluster],
        True,
        "this user liked such posts before",
    ),
    Feature(
        "user_topic_log_ratio",
        lambda q: q.tables.topic[q.of, q.topic],
        True,
        "this user liked this topic before",
    ),
    Feature(
        "factor_log_ratio",
        lambda q: q.factor_log_ratio,
        True,
        "those who liked what this user liked like this post",
    ),
    Feature("trend_log_ratio", lambda q: q.shared.trend[q.post], True, "liked more often of late"),
    Feature("level_log_ratio", lambda q: q.shared.level, True, "all posts are liked more of late"),
    Feature("hour_log_odds", lambda q: q.hour_log_odds, True, "the hour of the day"),
    Feature(
        "cluster_logit",
        lambda q: q.shared.cluster_logit[q.segment, q.post],
        False,
        "people like this user like such posts",
    ),
    Feature("post_quality", lambda q: q.shared.quality[q.post], False, "a well-liked post"),
    Feature("post_age_days", lambda q: q.shared.age_days[q.post], False, "the post's age"),
    Feature(
        "post_impression_count",
        lambda q: q.shared.impression_count[q.post],
        False,
        "how often it was shown",
    ),
    Feature(
        "post_recent_impression_count",
        lambda q: q.shared.recent_impression_count[q.post],
        False,
        "how often it was shown of late",
    ),
    Feature(
        "user_impression_count",
        lambda q: q.tables.n_shown[q.of],
        False,
        "how much this user has seen",
    ),
    Feature("pair_impression_count", lambda q: q.seen[0], False, "seen by this user before"),
    Feature("pair_like_count", lambda q: q.seen[1], False, "liked by this user before"),
)
