"""Is the feed random? Tested before an off-policy estimate is trusted.

`expected` judges posts by impressions that happen to match. That is fair if, within a segment of
users and up to each post's exposure, what is shown does not hang on who would like it. Each test
gives a size, which says how much it matters, and z, which says whether it could be chance.

    by_day       exposure of a post in a segment, from day to day
    by_<column>  the same, from code to code of a profile column
    repeats      from user to user: impressions of posts that a user saw before, not liked
    liked_again  the same of posts that a user liked before
                 size: standard deviation of exposure around its share, as a part of it; below 0
                 where less often than by chance
    past_likes   whether users are shown what the model, as of the cutoff, thinks that they like
                 more than their segment does
                 size: the mean of that over its standard deviation, both against random draws
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.state.feature_store import FeatureStore
from feedrank.validation.feed.homogeneity import Excess, excess_of
from feedrank.validation.feed.preference import Score, again, periods_of, tastes
from feedrank.validation.feed.sample import Viewed

CERTAIN = 4.0  # z from which a difference is no chance, several tests allowed for
# What each of them can move a match's log-odds by: docs/validation.md.
MOST_SPREAD, MOST_SHIFT = 0.25, 0.05
FEWEST_PAIRS = 20.0  # expected of the same post: fewer, and z is no z


@dataclass(frozen=True)
class Finding:
    """What one test says.

    Attributes:
        name: of the test.
        size: of the difference, 0 if there is none; NaN where it cannot be tested.
        z: over its standard error under random draws.
        limit: size from which it matters.
        words: what it means, or why it cannot be tested.
    """

    name: str
    size: float
    z: float
    limit: float
    words: str

    @property
    def verdict(self) -> str:
        """'passed', 'small', 'not random' or 'cannot be tested'."""
        if np.isnan(self.size):
            return "cannot be tested"
        if abs(self.z) < CERTAIN:
            return "passed"
        return "small" if abs(self.size) <= self.limit else "not random"

    @property
    def is_fair(self) -> bool:
        """Whether it is small enough, or could be chance, or cannot be told."""
        return self.verdict != "not random"


def randomness_of(store: FeatureStore, users: np.ndarray, since: int, until: int) -> list[Finding]:
    """All tests of the steps [since, until); none where nobody was shown anything.

    Args:
        store: of the log.
        users: whose impressions are looked at, rows, each once.
        since: first step.
        until: first step no longer.
    """
    if not len(users):
        return []
    fitted = store.fitted
    viewed = Viewed.of(store, np.asarray(users), until)
    now = viewed[viewed.step >= since]
    a_day = max(1, 86_400 // fitted.step_seconds)
    words = "the share of a post in what a segment is shown changes from day to day"
    found = [_spread("by_day", excess_of(now, (now.step - since) // a_day), words)]
    codes = np.asarray(store.catalogue.codes)
    for column, name in enumerate(fitted.column_names):
        if column != fitted.segment_column:
            words = f"which posts are shown hangs on '{name}' beyond the segments of users"
            code = codes[now.user, column].astype(np.int64)
            found.append(_spread(f"by_{name}", excess_of(now, code), words))
    liked, seen = again(store, viewed, len(users), periods_of(since, until))
    words = "users are shown posts again more, or less, often than by chance"
    found.append(_repeats("repeats", seen, words))
    words = "users are shown posts that they liked before more, or less, often than by chance"
    found.append(_repeats("liked_again", liked, words))
    return [*found, _past_likes(tastes(store, viewed, users, since, until))]


def said_of(findings: Sequence[Finding]) -> str:
    """How many tests came out how, in words; all are named that did not just pass."""
    counts = Counter(f.verdict for f in findings)
    parts = [f"{counts['passed']} of {len(findings)} passed"]
    for verdict in ("not random", "small", "cannot be tested"):
        names = sorted({f.name for f in findings if f.verdict == verdict})
        if names:
            parts.append(f"{counts[verdict]} {verdict} ({', '.join(names)})")
    return f"Tests of the feed: {'; '.join(parts)}."


def _spread(name: str, excess: Excess, words: str) -> Finding:
    if excess.expected < 2 * FEWEST_PAIRS or not excess.variance:
        return _untested(name, "too few impressions, or all of one unit or post")
    size = _root(excess.pairs / excess.expected)
    return Finding(name, size, _z(excess.pairs, excess.variance), MOST_SPREAD, words)


def _repeats(name: str, score: Score, words: str) -> Finding:
    if score.expected < FEWEST_PAIRS or not score.variance:
        return _untested(name, "too few posts are shown again to any user")
    more = score.observed - score.expected
    size = _root(more / score.expected)
    return Finding(name, size, _z(more, score.variance), MOST_SPREAD, words)


def _past_likes(score: Score) -> Finding:
    name, words = "past_likes", "users are shown more, or less, of what they are thought to like"
    if not score.variance:
        return _untested(name, "what is known of users sets no post apart from the others")
    more = score.observed - score.expected
    size = more / np.sqrt(score.n * score.variance)
    return Finding(name, float(size), _z(more, score.variance), MOST_SHIFT, words)


def _untested(name: str, words: str) -> Finding:
    return Finding(name, float("nan"), float("nan"), float("nan"), words)


def _root(excess: float) -> float:
    return float(np.sign(excess) * np.sqrt(abs(excess)))


def _z(excess: float, variance: float) -> float:
    return float(excess / np.sqrt(variance)) if variance else 0.0
