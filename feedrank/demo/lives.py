"""Lives of simulated posts: how the heat of a post rises and cools, and what that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY


@dataclass(frozen=True)
class LifeSpan:
    """How posts of a network heat up and cool down.

    Attributes:
        hours: median time in which a post's impressions fall by e.
        spread: of its logarithm over posts.
        depth: how many times they fall by e, at most.
        pull: logits of a like that such a fall takes away.
        promotion: logarithm of the impressions of a post that is better by one logit.
        is_published: whether a post is not there before its time; else it is only cold.
    """

    hours: float
    spread: float
    depth: float
    pull: float
    promotion: float
    is_published: bool


@dataclass(frozen=True)
class Lives:
    """Heat of each post over time: the logarithm of what it gains in impressions by its age.

    Attributes:
        begins: seconds since the origin at which a post is hottest, shape (n_posts,).
        cools: seconds in which its heat falls by 1, shape (n_posts,).
        rank: logarithm of what it gains in impressions by its quality, shape (n_posts,).
        span: what they were drawn from.
    """

    begins: np.ndarray
    cools: np.ndarray
    rank: np.ndarray
    span: LifeSpan

    @classmethod
    def draw(
        cls, span: LifeSpan, days: int, quality: np.ndarray, rng: np.random.Generator
    ) -> Lives:
        """Posts begin evenly over the period and a quarter of it before, in random order."""
        begins = rng.permutation(np.linspace(-0.25, 1, len(quality), endpoint=False))
        cools = 3600 * span.hours * np.exp(span.spread * rng.standard_normal(len(quality)))
        return cls(begins * days * SECONDS_A_DAY, cools, span.promotion * quality, span)

    def heat(self, posts: np.ndarray, at: np.ndarray | int) -> np.ndarray:
        """Between -depth and 0; minus infinity for a post that is not there yet."""
        age = at - self.begins[posts]
        before = -np.inf if self.span.is_published else -self.span.depth
        return np.where(age < 0, before, -np.minimum(age / self.cools[posts], self.span.depth))

    def weight(self, posts: np.ndarray, at: np.ndarray | int) -> np.ndarray:
        """Relative share of the impressions, 0 for a post that is not there yet."""
        return np.asarray(np.exp(self.heat(posts, at) + self.rank[posts]))

    def posts_at(
        self, point: np.ndarray, share: np.ndarray, group: np.ndarray, at: np.ndarray
    ) -> np.ndarray:
        """Posts by their share of the impressions at the beginning of each row's hour.

        Args:
            point: uniform draws, shape (n, m).
            share: of each post in each group's impressions if all were equally hot, shape
                (n_groups, n_posts).
            group: of each row, shape (n,).
            at: seconds since the origin, shape (n,).

        Returns:
            Rows of posts, shape (n, m).
        """
        hour, every = at // 3600, np.arange(share.shape[1])
        order = np.lexsort((group, hour))
        changes = np.diff(hour[order]) | np.diff(group[order])
        post = np.empty(point.shape, dtype=np.int64)
        for rows in np.split(order, np.flatnonzero(changes) + 1):
            weight = self.weight(every, hour[rows[0]] * 3600)
            cumulative = np.cumsum(share[group[rows[0]]] * weight)
            post[rows] = np.searchsorted(cumulative / cumulative[-1], point[rows], side="right")
        return post

    def logit(self, posts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Logits of a like that cooling takes away; minus infinity where a post is not there."""
        heat = self.heat(posts, at)
        pull = self.span.pull * np.maximum(heat, -self.span.depth)
        return np.where(np.isneginf(heat), heat, pull)

    def arrays(self) -> dict[str, np.ndarray]:
        """What is drawn for each post, by name."""
        return {name: value for name, value in vars(self).items() if name != "span"}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray], span: dict[str, Any]) -> Lives:
        """From `arrays`, which leave the mapping, and the fields of `span`."""
        begins, cools, rank = (arrays.pop(name) for name in ("begins", "cools", "rank"))
        return cls(begins, cools, rank, LifeSpan(**span))
