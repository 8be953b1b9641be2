"""Randomness of the feed: tests that come before an off-policy estimate is trusted.

`expected` is corrected by impressions that match the lists. They are a fair sample if, within a
stratum of users and given each post's propensity, the feed shows posts independently of who would
like them (ignorability; Rosenbaum and Rubin, 1983). Each test has a size, by how much the feed
deviates, and a standard score z.

    by_day       propensity of a post in a stratum, from day to day
    by_<column>  the same, from code to code of a profile column
    repeats      from user to user: impressions of posts that the user was shown before, not liked
    liked_again  the same of posts that the user liked before
                 size: standard deviation of the propensity over its mean; below 0 where pairs of
                 impressions are rarer than expected
    follows_likes  whether the rest of a step shows more of the topic (the cluster, where all posts
                 are of one topic) of what a user liked earlier in it
                 size: difference after a like and after none, over the mean
    past_likes   whether users are shown what the model, as of the cutoff, predicts that they like
                 more than their segment does
                 size: mean of that log ratio over its standard deviation, both against random draws
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.feature_store import FeatureStore
from feedrank.state.history import InteractionSample
from feedrank.validation.feed.excess import CERTAIN, FEWEST_PAIRS, Excess
from feedrank.validation.feed.following import Following, following_of
from feedrank.validation.feed.homogeneity import excess_of
from feedrank.validation.feed.preference import again, periods_of, tastes
from feedrank.validation.feed.strata import Strata

# Size from which a difference may move the log-odds of matches by more than the prior of their
# shift allows: docs/validation.md.
MOST_SPREAD, MOST_SHIFT = 0.25, 0.05


@dataclass(frozen=True)
class Finding:
    """Result of one test.

    Attributes:
        name: of the test.
        size: of the difference, 0 if there is none; NaN where it cannot be tested.
        z: over its standard error under random draws.
        limit: size from which it matters.
        words: meaning of the difference, or the reason why it cannot be tested.
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
        """Whether the difference is small or not significant, or cannot be tested."""
        return self.verdict != "not random"


def randomness_of(
    store: FeatureStore, users: np.ndarray, strata: Strata, steps: range
) -> list[Finding]:
    """All tests of the impressions of some steps; none without a user.

    Args:
        store: of the log.
        users: whose impressions are tested, rows, each once, but for those left out.
        strata: of users whom the feed shows the same.
        steps: of the test period.
    """
    users = np.setdiff1d(users, strata.left_out)
    if not len(users):
        return []
    fitted, codes = store.fitted, np.asarray(store.catalogue.codes)[users]
    stratum = strata.of_user[users]
    sample = InteractionSample.of(store.history, np.asarray(users), stratum, steps.stop)
    now = sample[sample.step >= steps.start]
    day = (now.step.astype(np.int64) - steps.start) // max(1, SECONDS_A_DAY // fitted.step_seconds)
    words = "the share of a post in the impressions of a stratum changes from day to day"
    found = [_by_unit("by_day", excess_of(now, day), words)]
    for column, name in enumerate(fitted.column_names):
        words = f"the posts shown depend on '{name}' beyond the strata of users"
        excess = excess_of(now, codes[now.user, column])
        found.append(_by_unit(f"by_{name}", excess, words))
    liked, shown = again(sample, fitted.n_posts, periods_of(steps))
    words = "repeat impressions are more, or less, frequent than under a random feed"
    found.append(_by_user("repeats", shown, words))
    words = "posts that a user liked are shown again more, or less, often than under a random feed"
    found.append(_by_user("liked_again", liked, words))
    clusters = fitted.refit(steps.start).clusters.cluster
    following = following_of(now, day, fitted.topic if fitted.has_topics else clusters)
    return [*found, _follows(following), _past_likes(tastes(store, sample, steps))]


def said_of(findings: Sequence[Finding]) -> str:
    """Number of tests by verdict, as a sentence; all are named that did not pass."""
    counts = Counter(f.verdict for f in findings)
    parts = [f"{counts['passed']} of {len(findings)} passed"]
    for verdict in ("not random", "small", "cannot be tested"):
        names = sorted({f.name for f in findings if f.verdict == verdict})
        if names:
            parts.append(f"{counts[verdict]} {verdict} ({', '.join(names)})")
    return f"Tests of the feed: {'; '.join(parts)}."


def exposure_in_words(columns: Sequence[str]) -> str:
    """Profile columns by which the strata differ, as a sentence."""
    if not columns:
        return "The posts shown depend on no profile column."
    return f"The posts shown depend on {' and '.join(columns)}, which is allowed for."


def _by_unit(name: str, excess: Excess, words: str) -> Finding:
    if not excess.is_testable:
        return _untested(name, "too few impressions, or all of one unit or post")
    return Finding(name, excess.relative_spread, excess.z, MOST_SPREAD, words)


def _by_user(name: str, excess: Excess, words: str) -> Finding:
    if excess.expected < FEWEST_PAIRS or not excess.variance:
        return _untested(name, "too few posts are shown again to any user")
    return Finding(name, excess.relative_spread, excess.z, MOST_SPREAD, words)


def _follows(following: Following) -> Finding:
    if following.n_liked < FEWEST_PAIRS:
        return _untested("follows_likes", "too few likes are followed by posts of the same step")
    if np.isnan(following.size):
        return _untested("follows_likes", "what follows a like cannot differ: all posts are alike")
    words = "after a like, the same step shows more, or less, of its topic than after none"
    return Finding("follows_likes", following.size, following.z, MOST_SPREAD, words)


def _past_likes(excess: Excess) -> Finding:
    if not excess.variance:
        return _untested("past_likes", "the users' histories set no post apart from the others")
    words = "users are shown more, or less, of the posts that they are predicted to like"
    size = excess.beyond / np.sqrt(excess.n * excess.variance)
    return Finding("past_likes", float(size), excess.z, MOST_SHIFT, words)


def _untested(name: str, words: str) -> Finding:
    return Finding(name, float("nan"), float("nan"), float("nan"), words)
