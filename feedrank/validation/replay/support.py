"""Support: posts that the feed showed near a moment, so that the log has evidence of them then."""

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

    def posts(self, step: int) -> np.ndarray:
        """Rows of the posts shown near a step, sorted."""
        first, last = max(step - self.reach, 0), min(step + self.reach + 1, self.by_post.n_steps)
        rows = slice(int(self.by_post.offsets[first]), int(self.by_post.offsets[last]))
        return np.unique(self.by_post.key[rows].astype(np.int64) % self.n_posts)
