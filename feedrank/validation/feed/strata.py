"""Strata: users whom the feed shows the same, found from exposure alone.

A tree by profile columns, grown as CHAID (Kass, *An exploratory technique for investigating large
quantities of categorical data*, 1980): a stratum is split by the column from code to code of which
the posts shown differ most certainly, its codes joined while two of them may be shown the same. If
no column differs, two together may. Pairs of the same post take the place of the chi-squared of
cells, which needs more impressions of each post. Likes are not looked at: what the feed depends on
need not be what splits users by their likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from feedrank.state.history import History, InteractionSample
from feedrank.validation.feed.excess import CERTAIN
from feedrank.validation.feed.homogeneity import UnitCounts

# Relative spread from which a column splits: below, a stratum of its own would move a propensity
# by less than a tenth, and would be known from fewer impressions.
LEAST_SPREAD = 0.1
MOST_STRATA = 64  # as many as the codes of a column
MOST_CODES = 65  # of a column, and of two together: bounds the counts by code and post
USERS_AT_ONCE = 4096  # bounds memory: some 40 MB of impressions; no effect on results
Columns = tuple[int, ...]


@dataclass(frozen=True)
class Strata:
    """A stratum for each user.

    Attributes:
        of_user: from 0, int64, shape (n_users,).
        columns: those that the feed depends on, in the order in which they were found.
        left_out: rows of users whose impressions tell nothing of the strata's feed.
    """

    of_user: np.ndarray
    columns: Columns
    left_out: np.ndarray

    @property
    def n(self) -> int:
        """Strata."""
        return int(self.of_user.max(initial=0)) + 1

    def shown(self, history: History, n_posts: int, since: int, until: int) -> np.ndarray:
        """Impressions of the steps [since, until), int64, shape (n, n_posts)."""
        total, counts = np.zeros(self.n * n_posts, np.int64), np.ones(len(self.of_user), bool)
        counts[self.left_out] = False
        for first in range(0, len(self.of_user), USERS_AT_ONCE):
            ends = history.offsets[first : first + USERS_AT_ONCE + 1]
            rows = slice(int(ends[0]), int(ends[-1]))
            some = slice(first, first + USERS_AT_ONCE)
            stratum = np.repeat(self.of_user[some], np.diff(ends))
            is_in = np.repeat(counts[some], np.diff(ends))
            is_in &= (history.step[rows] >= since) & (history.step[rows] < until)
            key = stratum * n_posts + history.post[rows]
            total += np.bincount(key[is_in], minlength=len(total))
            history.let_go()
        return total.reshape(self.n, n_posts)


def strata_of(
    history: History,
    codes: np.ndarray,
    users: np.ndarray,
    steps: range,
    left_out: Sequence[int] | np.ndarray = (),
) -> Strata:
    """The strata of all users, by what some of them were shown.

    Args:
        history: of all users.
        codes: profile codes of all users, shape (n_users, n_columns).
        users: rows of those whose impressions are looked at, each once.
        steps: of these impressions.
        left_out: rows of users whose impressions tell nothing, since another feed chose them.
    """
    left_out = np.asarray(left_out, np.int64)
    users = np.setdiff1d(users, left_out)
    sample = InteractionSample.of(history, users, np.zeros(len(users), np.int64), steps.stop)
    sample = sample[sample.step >= steps.start]
    user, post = sample.users[sample.user], sample.post
    stratum, found, waiting, n = np.zeros(len(codes), np.int64), list[int](), [0], 1
    while waiting and n < MOST_STRATA:
        one = waiting.pop(0)
        is_in = stratum == one
        rows = is_in[user]
        columns, group = _split(codes, user[rows], post[rows])
        found += columns
        stratum[is_in] = np.where(group[is_in] > 0, n - 1 + group[is_in], one)
        waiting += [*range(n, n + int(group.max()))] + [one] * bool(columns)
        n += int(group.max())
    return Strata(stratum, tuple(dict.fromkeys(found)), left_out)


def _split(codes: np.ndarray, user: np.ndarray, post: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Columns that split the users of some impressions, and the group of each user of the log.

    Groups are numbers from 0, shape (n_users,); all are 0 where no column splits.
    """
    if len(user):
        shown_to = _ByUser.of(user, post, len(codes))
        every = range(codes.shape[1])
        for columns in (((column,) for column in every), combinations(every, 2)):
            found = [one for one in map(partial(_Candidate.of, shown_to, codes), columns) if one]
            if found:
                best = max(found, key=lambda one: one.z)
                return best.columns, groups_of(best.counts)[best.code]
    return (), np.zeros(len(codes), np.int64)


@dataclass(frozen=True)
class _ByUser:
    """Impressions by user, each of whom is one session: pairs within tell nothing of a column."""

    user: np.ndarray
    post: np.ndarray
    same: np.ndarray
    pairs: np.ndarray

    @classmethod
    def of(cls, user: np.ndarray, post: np.ndarray, n_users: int) -> _ByUser:
        posts, post = np.unique(post, return_inverse=True)
        cell, n_cell = np.unique(user * len(posts) + post, return_counts=True)
        same = np.bincount(cell // len(posts), n_cell.astype(float) ** 2, n_users)
        return cls(user, post, same, np.bincount(user, minlength=n_users).astype(float) ** 2)

    def counts(self, code: np.ndarray) -> UnitCounts:
        """By code of each user of the log, from 0, shape (n_users,)."""
        n_codes, n_posts = int(code.max()) + 1, int(self.post.max()) + 1
        shown = np.bincount(code[self.user] * n_posts + self.post, minlength=n_codes * n_posts)
        return UnitCounts(
            shown.reshape(n_codes, n_posts).astype(float),
            np.bincount(code, self.same, n_codes),
            np.bincount(code, self.pairs, n_codes),
        )


@dataclass(frozen=True)
class _Candidate:
    """Columns by whose codes the posts shown differ: the code of each user, and the counts."""

    columns: Columns
    code: np.ndarray
    counts: UnitCounts
    z: float

    @classmethod
    def of(cls, shown_to: _ByUser, codes: np.ndarray, columns: Columns) -> _Candidate | None:
        """None where the codes do not differ, or are too many to tell."""
        sizes = codes[:, columns].max(0, initial=0).astype(np.int64) + 1
        if sizes.prod() > MOST_CODES:
            return None
        code = np.ravel_multi_index(tuple(codes[:, columns].T.astype(np.int64)), tuple(sizes))
        counts = shown_to.counts(code)
        found = counts.excess()
        is_sure = found.is_testable and found.z >= CERTAIN
        if not is_sure or found.relative_spread < LEAST_SPREAD:
            return None
        return cls(columns, code, counts, found.z)


def groups_of(counts: UnitCounts) -> np.ndarray:
    """Group of each unit, from 0, shape (n_units,): two at least, if two units were shown posts.

    The two that differ least certainly are joined until all that are left differ certainly.
    Units without an impression are in the first.
    """
    some = np.flatnonzero(counts.pairs)
    left = UnitCounts(counts.shown[some], counts.same[some], counts.pairs[some])
    group = np.arange(len(some))
    while len(left.pairs) > 2:
        z = left.distances()
        z[np.tril_indices(len(z))] = np.inf
        kept, gone = np.unravel_index(np.argmin(z), z.shape)
        if z[kept, gone] >= CERTAIN:
            break
        joined = np.arange(len(z)) - (np.arange(len(z)) > gone)
        joined[gone] = kept
        left, group = left.joined(joined), joined[group]
    of_unit = np.zeros(len(counts.pairs), np.int64)
    of_unit[some] = group
    return of_unit
