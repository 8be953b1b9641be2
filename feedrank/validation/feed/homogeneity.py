"""Does what is shown differ from unit to unit: from day to day, from code to code?

Pairs of impressions within a unit are of the same post as often as any pairs of the segment, if
all units are shown the same. Counts of unit and post are held against those that their totals
give, as in a table of contingency; pairs of one user within a unit are left out, since a feed may
show a user no post twice. No share is estimated by the very rows that it judges: under random
draws the excess has mean 0 however few the rows are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.validation.feed.sample import Viewed


@dataclass(frozen=True)
class Excess:
    """Pairs of the same post beyond chance.

    Attributes:
        pairs: beyond those expected.
        expected: within units.
        variance: of `pairs` under random draws.
    """

    pairs: float = 0.0
    expected: float = 0.0
    variance: float = 0.0

    def __add__(self, other: Excess) -> Excess:
        return Excess(
            self.pairs + other.pairs,
            self.expected + other.expected,
            self.variance + other.variance,
        )


def excess_of(viewed: Viewed, unit: np.ndarray) -> Excess:
    """Pairs within units beyond chance, all segments together; each pair counts twice.

    Args:
        viewed: impressions.
        unit: of each, from 0, shape (n,).
    """
    found = Excess()
    for segment in np.unique(viewed.segment):
        here = viewed.segment == segment
        found += _of_segment(viewed[here], unit[here])
    return found


def _of_segment(viewed: Viewed, unit: np.ndarray) -> Excess:
    n = float(len(viewed))
    n_posts, n_users = int(viewed.post.max()) + 1, int(viewed.place.max()) + 1
    cluster, of = np.unique(unit * n_users + viewed.place, return_inverse=True)
    in_cluster, of_cluster = np.bincount(of).astype(float), cluster // n_users
    own, own_pairs = _cells(of, viewed.post, n_posts)
    cell, count = _cells(unit, viewed.post, n_posts)
    in_unit, of_post = np.bincount(unit).astype(float), np.bincount(viewed.post).astype(float)
    possible = n**2 - np.sum(in_cluster**2)
    if not possible or np.count_nonzero(in_unit) < 2:
        return Excess()
    share, weight = in_unit / n, of_post / n
    same = np.sum(share**2)
    lone = 1 - 2 * share + same  # what a pair within a unit counts, what the totals say taken off
    chance = (np.sum(of_post**2) - np.sum(own_pairs**2)) / possible
    squares = np.sum(count**2) - n * (
        2 * np.sum(count * share[cell // n_posts] * weight[cell % n_posts])
        - n * same * np.sum(weight**2)
    )
    left_out = np.sum(lone[of_cluster[own // n_posts]] * own_pairs**2)
    pairs = squares - left_out + chance * np.sum(lone[of_cluster] * in_cluster**2)
    by_unit = same - 2 * np.sum(share**3) + same**2
    by_post = max(chance - 2 * np.sum(weight**3) + chance**2, 0.0)
    expected = chance * (np.sum(in_unit**2) - np.sum(in_cluster**2))
    return Excess(float(pairs), float(expected), float(2 * n**2 * by_unit * by_post))


def _cells(row: np.ndarray, post: np.ndarray, n_posts: int) -> tuple[np.ndarray, np.ndarray]:
    cell, count = np.unique(row * n_posts + post, return_counts=True)
    return cell, count.astype(float)
