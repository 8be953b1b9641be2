"""Homogeneity of the feed: are the posts shown the same from day to day, from code to code?

If all units (days, codes of a profile column) are shown the same, two impressions of one unit are
of the same post as often as any two of the segment. Counts of unit and post are held against the
products of their margins, as in a contingency table (Pearson, 1900), by pairs instead of cells, so
that no share is estimated from the rows that it is compared with: the excess has mean 0 under a
random feed, however few the rows. Pairs of one user within a unit are left out, since a feed may
show no post twice in a session.
"""

from __future__ import annotations

import numpy as np

from feedrank.state.history import InteractionSample
from feedrank.validation.feed.excess import Excess


def excess_of(sample: InteractionSample, unit: np.ndarray) -> Excess:
    """Pairs of the same post within units beyond chance, of all segments; each counts twice.

    Args:
        sample: impressions.
        unit: of each, whole numbers from 0, shape (n,).
    """
    segment, unit = sample.segment[sample.user], unit.astype(np.int64)
    user, post = sample.user.astype(np.int64), sample.post.astype(np.int64)
    found = Excess()
    for one in np.unique(segment):
        here = segment == one
        found += _of_segment(user[here], post[here], unit[here])
    return found


def _of_segment(user: np.ndarray, post: np.ndarray, unit: np.ndarray) -> Excess:
    """The excess of one segment; sessions are the impressions of one user within one unit."""
    n, n_posts, n_users = len(user), int(post.max()) + 1, int(user.max()) + 1
    session, of = np.unique(unit * n_users + user, return_inverse=True)
    in_session, unit_of = np.bincount(of).astype(float), session // n_users
    in_unit, of_post = np.bincount(unit).astype(float), np.bincount(post).astype(float)
    possible = n**2 - np.sum(in_session**2)
    if not possible or np.count_nonzero(in_unit) < 2:
        return Excess()
    session_cell, in_session_cell = _cells(of, post, n_posts)
    cell, in_cell = _cells(unit, post, n_posts)
    share, weight = in_unit / n, of_post / n
    same = np.sum(share**2)
    lone = 1 - 2 * share + same  # weight of a pair within a unit, margins taken off
    chance = (np.sum(of_post**2) - np.sum(in_session_cell**2)) / possible
    squares = np.sum(in_cell**2) - n * (
        2 * np.sum(in_cell * share[cell // n_posts] * weight[cell % n_posts])
        - n * same * np.sum(weight**2)
    )
    left_out = np.sum(lone[unit_of[session_cell // n_posts]] * in_session_cell**2)
    beyond = squares - left_out + chance * np.sum(lone[unit_of] * in_session**2)
    by_unit = same - 2 * np.sum(share**3) + same**2
    by_post = max(chance - 2 * np.sum(weight**3) + chance**2, 0.0)
    expected = chance * (np.sum(in_unit**2) - np.sum(in_session**2))
    return Excess(float(beyond), float(expected), float(2 * n**2 * by_unit * by_post), n)


def _cells(row: np.ndarray, post: np.ndarray, n_posts: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the cells of a row and a post that are not empty, and their counts."""
    cell, count = np.unique(row * n_posts + post, return_counts=True)
    return cell, count.astype(float)
