"""Support: how often the feed showed a post near a moment: the evidence that the log has then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.counts.by_step import StepCounts

# Impressions of a post that is shown at all: of Poisson counts of this mean, 6 % are 0, so that
# hardly a post which the feed draws from is taken for one that it does not show.
LEAST_IMPRESSIONS = 3.0


@dataclass(frozen=True)
class Support:
    """Posts shown to anybody near each step.

    Attributes:
        by_post: key (segment, post).
        n_posts: of the catalogue.
        reach: steps before and after that count as near.
    """

    by_post: StepCounts
    n_posts: int
    reach: int

    @classmethod
    def of(cls, by_post: StepCounts, n_posts: int, since: int, until: int) -> Support:
        """The shortest reach at which shown posts have `LEAST_IMPRESSIONS` on average.

        Args:
            by_post: key (segment, post).
            n_posts: of the catalogue.
            since: first step of the period.
            until: first step after it.
        """
        rows = slice(int(by_post.offsets[since]), int(by_post.offsets[until]))
        post = by_post.key[rows].astype(np.int64) % n_posts
        step = np.repeat(np.arange(until - since), np.diff(by_post.offsets[since : until + 1]))
        total, reach = by_post.shown[rows].sum(dtype=np.float64), 0
        while 2 * reach + 1 < until - since:
            cells = np.unique(step // (2 * reach + 1) * n_posts + post)
            if total >= LEAST_IMPRESSIONS * len(cells):
                break
            reach += 1 + reach // 4  # in steps of a fourth: a day in minutes takes 25 tries
        return cls(by_post, n_posts, reach)

    def near(self, step: int) -> np.ndarray:
        """Impressions of each post near a step, shape (n_posts,)."""
        first, last = max(step - self.reach, 0), min(step + self.reach + 1, self.by_post.n_steps)
        rows = slice(int(self.by_post.offsets[first]), int(self.by_post.offsets[last]))
        post = self.by_post.key[rows].astype(np.int64) % self.n_posts
        return np.bincount(post, self.by_post.shown[rows], self.n_posts).astype(np.int64)


def presence(n: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Logarithm of impressions near a request, plus a half, over the mean of the posts shown then.

    Args:
        n: impressions of some posts; of a post that the request was shown, those by others.
        near: of all posts.

    Of two posts, shown three times and once:

    >>> presence(np.array([3, 1, 0]), np.array([3, 1, 0])).round(2).tolist()
    [0.56, -0.29, -1.39]
    """
    mean = near.sum() / max(np.count_nonzero(near), 1)
    return np.asarray(np.log((n + 0.5) / max(mean, 1.0)))
