"""Feature spec: the ordered features, and `assemble`, which makes their matrix."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Tuple

import numpy as np

from feedrank.errors import SchemaError
from feedrank.features.feature import (
    CLUSTER,
    PAIR,
    POST,
    RATIO,
    SHOWN,
    TERM,
    TOPIC,
    USER,
    Feature,
    Read,
)
from feedrank.features.question import Question
from feedrank.features.topics import features_of_topics
from feedrank.state.fitted import FittedParameters
from feedrank.state.shared import WINDOWS
from feedrank.stats.shrinkage import as_feature

Column = Tuple[str, Read, str, str]


def features_of(fitted: FittedParameters) -> tuple[Feature, ...]:
    """The ordered spec: fixed features, those of this network's profiles and moments, plugins'.

    Raises:
        SchemaError: a plugin's feature has the name of another one.
    """
    columns = list(enumerate(fitted.column_names))
    by_cluster = [
        Feature(f"{name}_cluster_log_ratio", partial(_column_ratio, column=i, offset=offset),
                f"people with this {name} like such posts", RATIO, CLUSTER)
        for (i, name), offset in zip(columns, fitted.column_offsets.tolist())
        # Until it is found, the segment column is one of the others; from then on its ratio is 1.
        if i != fitted.segment_column or fitted.segments_since
    ]  # fmt: skip
    encoded = [
        Feature(f"{name}_encoded", partial(_encoded, column=i), f"the user's {name}", None, USER)
        for i, name in columns
    ]
    ages = [
        Feature(f"{name}_log_age", partial(_log_age, moment=i), f"how long ago {name} is", None,
                USER)
        for i, name in enumerate(fitted.moment_names)
    ]  # fmt: skip
    of_words = (OF_WORDS,) if any(len(refit.words) for refit in fitted.refits) else ()
    fixed = (*FIXED, *REPEATED, *WINDOWED, *AGED, *of_words)
    shipped = _named_apart((*fixed, *features_of_topics(fitted), *by_cluster, *encoded, *ages))
    return (*shipped, *_own_features(fitted, {feature.name for feature in shipped}))


def _own_features(fitted: FittedParameters, taken: set[str]) -> tuple[Feature, ...]:
    """Those of plugins; raises `SchemaError` for one that has the name of another."""
    for module in fitted.plugins.modules:
        for feature in module.features:
            if feature.name in taken:
                raise SchemaError(
                    f"feature '{feature.name}' of plugin '{module.name}' has the name of another "
                    "feature. Rename it."
                )
            taken = taken | {feature.name}
    return fitted.plugins.features


def _named_apart(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """The same features under distinct names that XGBoost takes, whatever the profile columns."""
    names: dict[str, Feature] = {}
    for feature in features:
        name = re.sub(r"[\[\]<]", "_", feature.name)
        while name in names:
            name += "_"
        names[name] = replace(feature, name=name)
    return tuple(names.values())


def assemble(
    features: Sequence[Feature], question: Question, columns: Sequence[int] | None = None
) -> np.ndarray:
    """Matrix of the features of each pair, float32, shape (n, n_features).

    Args:
        features: in order.
        question: the pairs.
        columns: that are read; the others are NaN. None: all.

    Training and serving both call it, and every value is read row by row from tables, so a pair
    has the same bits in a batch of a million and alone.

    >>> from types import SimpleNamespace
    >>> rate = Feature("like_rate", lambda q: q.rate[q.post], weight=None, words="well liked")
    >>> level = Feature("level", lambda q: 2.0, weight=None, words="the level")
    >>> question = SimpleNamespace(post=np.array([1, 0]), rate=np.array([0.25, 0.5]))
    >>> assemble([rate, level], question)
    array([[0.5 , 2.  ],
           [0.25, 2.  ]], dtype=float32)
    """
    matrix = np.full((len(question.post), len(features)), np.nan, dtype=np.float32)
    for column in range(len(features)) if columns is None else columns:
        matrix[:, column] = features[column].read(question)
    return matrix


def _column_ratio(q: Question, column: int, offset: int) -> np.ndarray:
    return q.cell(q.shared.columns, offset + q.codes(column), q.cluster)


def _window_likes(q: Question, window: int) -> np.ndarray:
    return np.asarray(q.shared.window_likes[window, q.post])


def _window_impressions(q: Question, window: int) -> np.ndarray:
    return np.asarray(q.shared.window_impressions[window, q.post])


def _window_trend(q: Question, window: int) -> np.ndarray:
    return np.asarray(q.shared.window_trend[window, q.post])


def _pair_impressions(q: Question, steps: int) -> np.ndarray:
    return q.pair_impressions(steps)


def _age_beyond(q: Question, log_age: float) -> np.ndarray:
    return np.maximum(q.shared.log_age[q.post] - np.float32(log_age), np.float32(0))


def _encoded(q: Question, column: int) -> np.ndarray:
    return np.asarray(q.users.fitted.encoded[column][q.codes(column)])


def _log_age(q: Question, moment: int) -> np.ndarray:
    """Log of the days and a half; below 0, apart from all days, where there is no moment yet."""
    return as_feature(np.log(q.age_days(moment) + 1.5))


LINEAR: tuple[Column, ...] = (
    ("post_logit", lambda q: q.cell(q.shared.post_logit, q.segment, q.post),
     "people like this user like this post", POST),
    ("segment_post_log_ratio", lambda q: q.cell(q.shared.segment_post, q.segment, q.post),
     "this post does better with people like this user than others of its cluster", POST),
    ("user_log_ratio", lambda q: q.tables.like_rate[q.of], "this user likes more often", USER),
    ("user_cluster_log_ratio", lambda q: q.cluster_log_ratio,
     "this user liked such posts before", PAIR),
    ("user_topic_log_ratio", lambda q: q.cell(q.tables.topic, q.of, q.topic),
     "this user liked this topic before", TOPIC),
    ("factor_log_ratio", lambda q: q.factor_log_ratio,
     "those who liked the same posts as this user like this post", PAIR),
    ("trend_log_ratio", lambda q: q.shared.trend[q.post], "liked more often recently", POST),
    ("level_log_ratio", lambda q: q.shared.level, "all posts are liked more recently", POST),
    ("hour_log_odds", lambda q: q.hour_log_odds, "the hour of the day", USER),
)  # fmt: skip
OTHER: tuple[Column, ...] = (
    ("cluster_logit", lambda q: q.cell(q.shared.cluster_logit, q.segment, q.post),
     "people like this user like such posts", POST),
    ("post_quality", lambda q: q.shared.quality[q.post], "a well-liked post", POST),
    ("post_impression_count", lambda q: q.shared.impression_count[q.post],
     "how often it was shown", POST),
    ("post_recent_impression_count", lambda q: q.shared.recent_impression_count[q.post],
     "how often it was shown recently", POST),
    ("user_impression_count", lambda q: q.tables.n_shown[q.of],
     "how many posts this user was shown", USER),
)  # fmt: skip
TERMS: tuple[Column, ...] = (
    ("post_log_age", lambda q: q.shared.log_age[q.post], "the post's age", POST),
)
FIXED = tuple(
    Feature(name, read, words, weight, grain, has_extremes=True)
    for columns, weight in ((LINEAR, RATIO), (OTHER, None), (TERMS, TERM))
    for name, read, words, grain in columns
)
# Of logs with a refit that found such words.
OF_WORDS = Feature(
    "user_word_log_ratio", lambda q: q.word_log_ratio,
    "this user liked posts with the same words before", TERM, PAIR, has_extremes=True,
)  # fmt: skip
WINDOWED = tuple(
    Feature(f"post_{name}_{steps}", partial(read, window=window), words, weight, POST)
    for window, steps in enumerate(WINDOWS)
    for name, read, words, weight in (
        ("likes", _window_likes, "how often it was liked just now", TERM),
        ("impressions", _window_impressions, "how often it was shown just now", None),
        ("trend", _window_trend, "liked more often just now", TERM),
    )
)
# A user is bored by what was shown an hour ago, not by what was shown last month.
OF_PAIRS: tuple[tuple[str, Read, str], ...] = (
    ("pair_impression_count", lambda q: q.pair_counts.shown, "shown to this user before"),
    ("pair_like_count", lambda q: q.pair_counts.liked, "liked by this user before"),
    *(
        (f"pair_impressions_{steps}", partial(_pair_impressions, steps=steps),
         "shown to this user just now")
        for steps in WINDOWS
    ),
)  # fmt: skip
REPEATED = tuple(
    Feature(name, read, words, TERM, SHOWN, group=PAIR) for name, read, words in OF_PAIRS
)
# A post's appeal does not fade by one power of its age: what its log age exceeds that of each
# window by is a term of its own (a linear spline). Measured: docs/ranking-results.md.
AGED = tuple(
    Feature(
        f"post_log_age_beyond_{steps}",
        partial(_age_beyond, log_age=math.log1p(steps)),
        "the post's age",
        TERM,
        POST,
    )
    for steps in WINDOWS
)
