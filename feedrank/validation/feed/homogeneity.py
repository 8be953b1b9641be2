"""Homogeneity of the feed: are the posts shown the same from day to day, from code to code?

If all units (days, codes of a profile column) are shown the same, two impressions of one unit are
of the same post as often as any two of the stratum. Counts of unit and post are held against the
products of their margins, as in a contingency table (Pearson, 1900), by pairs instead of cells, so
that no share is estimated from the rows that it is compared with: the excess has mean 0 under a
random feed, however few the rows. Pairs of one user within a unit are left out, since a feed may
show no post twice in a session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.state.history import InteractionSample
from feedrank.validation.feed.excess import Excess


@dataclass(frozen=True)
class UnitCounts:
    """Impressions of some units, and what is left out of their pairs: those within a session.

    Attributes:
        shown: impressions by unit and post, float64, shape (n_units, n_posts).
        same: ordered pairs of the same post within sessions, each impression with itself too,
            shape (n_units,).
        pairs: ordered pairs within sessions, whatever the post, shape (n_units,).
    """

    shown: np.ndarray
    same: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, session: np.ndarray, post: np.ndarray, unit: np.ndarray) -> UnitCounts:
        """Of impressions.

        Args:
            session: of each, any whole number, shape (n,).
            post: row from 0, shape (n,).
            unit: of its session, from 0, shape (n,).
        """
        n_posts, n_units = int(post.max(initial=0)) + 1, int(unit.max(initial=0)) + 1
        shown = np.bincount(unit * n_posts + post, minlength=n_units * n_posts)
        session, first, of = np.unique(session, return_index=True, return_inverse=True)
        unit_of, in_session = unit[first], np.bincount(of).astype(float)
        cell, in_cell = np.unique(of * n_posts + post, return_counts=True)
        return cls(
            shown.reshape(n_units, n_posts).astype(float),
            np.bincount(unit_of[cell // n_posts], in_cell.astype(float) ** 2, n_units),
            np.bincount(unit_of, in_session**2, n_units),
        )

    def joined(self, group: np.ndarray) -> UnitCounts:
        """The same impressions with units joined: group of each, from 0, shape (n_units,)."""
        of = np.eye(int(group.max(initial=0)) + 1)[group].T
        return UnitCounts(of @ self.shown, of @ self.same, of @ self.pairs)

    def excess(self) -> Excess:
        """Pairs of the same post within units beyond chance; each counts twice."""
        in_unit, of_post = self.shown.sum(1), self.shown.sum(0)
        n = in_unit.sum()
        possible = n**2 - self.pairs.sum()
        if not possible or np.count_nonzero(in_unit) < 2:
            return Excess()
        share, weight = in_unit / n, of_post / n
        chance = (np.sum(of_post**2) - self.same.sum()) / possible
        same = np.sum(share**2)
        lone = 1 - 2 * share + same  # weight of a pair within a unit, margins taken off
        squares = np.sum((self.shown - np.outer(in_unit, weight)) ** 2)
        beyond = squares - lone @ self.same + chance * (lone @ self.pairs)
        by_unit = same - 2 * np.sum(share**3) + same**2
        expected = chance * np.sum(in_unit**2 - self.pairs)
        variance = 2 * n**2 * by_unit * _spread(chance, weight)
        return Excess(float(beyond), float(expected), float(variance), int(n))

    def distances(self) -> np.ndarray:
        """Standard score of the squared distance of each two units' shares, (n_units, n_units).

        0 where they are the same in expectation, and for units of one session.
        """
        in_unit, of_post = self.shown.sum(1), self.shown.sum(0)
        pairs = np.maximum(in_unit**2 - self.pairs, 1e-9)  # 0 within a unit of one session
        both = self.shown @ self.shown.T
        within = (np.diag(both) - self.same) / pairs
        apart = within[:, None] + within - 2 * both / np.outer(in_unit, in_unit)
        chance = np.sum(of_post**2 - self.same.sum() / len(of_post)) / np.sum(in_unit) ** 2
        spread = _spread(max(chance, 0.0), of_post / in_unit.sum())
        error = 2 / pairs[:, None] + 2 / pairs + 4 / np.outer(in_unit, in_unit)
        return np.asarray(apart / np.sqrt(np.maximum(spread * error, 1e-300)))


def excess_of(sample: InteractionSample, unit: np.ndarray) -> Excess:
    """Pairs of the same post within units beyond chance, of all segments; each counts twice.

    Args:
        sample: impressions.
        unit: of each, whole numbers from 0, shape (n,).
    """
    segment, unit = sample.segment[sample.user], unit.astype(np.int64)
    session = unit * sample.n_users + sample.user
    found = Excess()
    for one in np.unique(segment):
        here = segment == one
        _, post = np.unique(sample.post[here], return_inverse=True)
        found += UnitCounts.of(session[here], post, unit[here]).excess()
    return found


def _spread(chance: float, weight: np.ndarray) -> float:
    """Variance of whether two impressions are of the same post, margins taken off."""
    return max(float(chance - 2 * np.sum(weight**3) + chance**2), 0.0)
