"""Features of topics: contexts, trend, and what a user liked and was shown of them."""

from __future__ import annotations

from functools import partial

import numpy as np

from feedrank.features.feature import POST, TERM, TOPIC, Feature, Read
from feedrank.features.question import Question
from feedrank.state.fitted import FittedParameters
from feedrank.state.posts.topic_contexts import (
    FIRST_AGE,
    FIRST_CODE,
    FIRST_DAY,
    age_of,
    day_of_week,
)
from feedrank.state.shared import WINDOWS

# Terms of topics that count together: docs/ranking.md, "Terms".
CONTEXTS, PROFILES, TRENDS = "contexts of topics", "profiles by topic", "trends of topics"
GROUPS = (CONTEXTS, PROFILES, TRENDS, TOPIC)


def features_of_topics(fitted: FittedParameters) -> tuple[Feature, ...]:
    """Those that tell a post's topic from others; none where all posts are of one."""
    columns = enumerate(zip(fitted.column_names, fitted.column_offsets.tolist()))
    by_topic = (
        Feature(f"{name}_topic_log_ratio", partial(_topic_of_code, column=i, offset=offset),
                f"people with this {name} like this topic", TERM, TOPIC, group=PROFILES)
        for i, (name, offset) in columns
    )  # fmt: skip
    return (*TOPICAL, *by_topic) if fitted.has_topics else ()


def _in_context(q: Question, row: np.ndarray) -> np.ndarray:
    return q.cell(q.topic_ratio, row, q.topic)


def _topic_of_code(q: Question, column: int, offset: int) -> np.ndarray:
    return _in_context(q, FIRST_CODE + offset + q.codes(column))


def _topic_of_age(q: Question) -> np.ndarray:
    return np.asarray(q.topic_ratio[FIRST_AGE + age_of(q.shared.log_age[q.post]), q.topic])


def _topic_trend(q: Question, window: int) -> np.ndarray:
    return np.asarray(q.shared.topic_trend[window, q.topic])


def _topic_ratio(q: Question, window: int) -> np.ndarray:
    return q.cell(q.tables.latest.ratio[window], q.of, q.topic)


def _topic_impressions(q: Question, window: int) -> np.ndarray:
    return q.cell(q.tables.latest.n_shown[window], q.of, q.topic)


OF_CONTEXTS: tuple[tuple[str, Read, str, str], ...] = (
    ("hour", lambda q: _in_context(q, q.hour),
     "this topic does better at this hour of the day", TOPIC),
    ("weekday", lambda q: _in_context(q, FIRST_DAY + day_of_week(q.at)),
     "this topic does better on this day of the week", TOPIC),
    ("age", _topic_of_age, "posts of this topic do better at this age", POST),
)  # fmt: skip
OF_WINDOWS = (
    ("topic_trend", _topic_trend, "this topic is liked more just now", TRENDS),
    ("user_topic_log_ratio", _topic_ratio, "this user liked this topic just now", TOPIC),
    ("user_topic_impressions", _topic_impressions, "this user was shown this topic just now",
     TOPIC),
)  # fmt: skip
# A feed shows what it knows a user to like.
OF_ALL_TIME = Feature(
    "user_topic_impression_count", lambda q: q.cell(q.tables.topic_shown, q.of, q.topic),
    "how often this user was shown this topic", TERM, TOPIC,
)  # fmt: skip
TOPICAL = (
    OF_ALL_TIME,
    *(Feature(f"topic_{context}_log_ratio", read, words, TERM, grain, group=CONTEXTS)
      for context, read, words, grain in OF_CONTEXTS),
    *(Feature(f"{name}_{steps}", partial(read, window=window), words, TERM, TOPIC, group=group)
      for window, steps in enumerate(WINDOWS) for name, read, words, group in OF_WINDOWS),
)  # fmt: skip
