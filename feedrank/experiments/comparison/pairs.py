"""Pairs: requests that two runs replayed, compared user by user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd

from feedrank.errors import FeedrankError
from feedrank.experiments.comparison.difference import Difference
from feedrank.stats.intervals import (
    LEAST_REQUESTS,
    LEAST_USERS,
    UserWeights,
    estimate,
    user_weights,
)
from feedrank.validation.hitrate.doubt import doubt_correlation
from feedrank.validation.methods import OURS
from feedrank.validation.results.requests_table import (
    DOUBT,
    LIST,
    OUTCOMES,
    POSTS,
    SPREADS,
    VOID,
    column,
)

KEYS = ["user_id", "at"]
RESAMPLES = 2_000  # of users, unless `make compare` is asked for others
# Share of common requests that may differ in the posts shown or liked: late likes change some,
# other logs all.
MOST_CHANGED = 0.5


@dataclass(frozen=True)
class Pairs:
    """Requests that both runs replayed.

    Attributes:
        a: hits of run A, one row a request.
        b: hits of run B, in the same order.
        weights: resamples of users.
        n_a: requests of run A, common or not.
        n_b: requests of run B.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    weights: UserWeights
    n_a: int
    n_b: int

    @classmethod
    def of(cls, a: pd.DataFrame, b: pd.DataFrame, bootstrap: int, seed: int) -> Pairs:
        """Match two tables by user and moment.

        Raises:
            FeedrankError: they have fewer than 50 requests in common, a table holds a request
                twice, or most requests differ in the posts shown or liked.
        """
        first, second = (_by_key(t, name) for t, name in ((a, "A"), (b, "B")))
        common = first.index.intersection(second.index)
        if len(common) < LEAST_REQUESTS:
            raise FeedrankError(
                f"the runs have {len(common)} requests in common, of {len(a)} and {len(b)}: they "
                "cannot be compared. Use the same data, 'validate.requests', 'validate.folds', "
                "'validate.test_days' and 'validate.seed' in both."
            )
        users = common.get_level_values("user_id").to_numpy()
        weights = user_weights(users, bootstrap, seed)
        pairs = cls(first.loc[common], second.loc[common], weights, len(a), len(b))
        if (n_differ := pairs.n_outcomes_that_differ() or 0) > MOST_CHANGED * len(common):
            raise FeedrankError(
                f"{n_differ} of {len(common)} common requests differ in the posts shown or liked: "
                "the runs are of different logs, or of another 'features.step'. Run both on the "
                "same."
            )
        return pairs

    def kinds(self) -> list[str]:
        """Hit rates that both runs have, such as 'expected@5', in the order of A."""
        return [kind for kind in _kinds(self.a) if kind in _kinds(self.b)]

    @property
    def is_expected_void(self) -> bool:
        """Whether `expected` is void in a run; an older table says nothing of it."""
        return any(bool(t[VOID].any()) for t in (self.a, self.b) if VOID in t)

    def decisive(self) -> list[str]:
        """Hit rates that decide unless others are named."""
        return ["shown"] if self.is_expected_void else ["expected", "shown"]

    def first_k(self) -> int:
        """The first length of list that both runs have, in the order of A.

        Raises:
            FeedrankError: there is none.
        """
        kinds = self.kinds()
        if not kinds:
            raise FeedrankError(
                f"the runs have no hit rate in common: A has {_kinds_in_words(self.a)}; B has "
                f"{_kinds_in_words(self.b)}. Run both with a common length in 'validate.k'."
            )
        return int(kinds[0].split("@")[1])

    def share_in_common(self) -> float:
        """Of the requests of the run that has more, the share in common."""
        return len(self.a) / max(self.n_a, self.n_b)

    def n_lists_that_differ(self, k: int) -> int | None:
        """Number of requests whose lists of k hold other posts; None where a table has no lists."""
        return self._n_differ(*(_column_of(t, LIST, k) for t in (self.a, self.b)))

    def n_outcomes_that_differ(self) -> int | None:
        """Number of requests with other posts shown or liked; None without a column `outcomes`."""
        return self._n_differ(OUTCOMES, OUTCOMES)

    def _n_differ(self, of_a: str, of_b: str) -> int | None:
        if of_a not in self.a or of_b not in self.b:
            return None
        return int((self.a[of_a].to_numpy() != self.b[of_b].to_numpy()).sum())

    def difference(self, kind: str) -> Difference:
        """Hit rates of A and B, and B less A, over requests with a finite value in both.

        If all lists are the same, the gain in `expected` is 0, whatever the two estimates are:
        users would get the same posts. Nor is a gain of 0 in each request then in any doubt.

        Args:
            kind: such as 'expected@5'.

        Raises:
            FeedrankError: a run has no such hits.
        """
        name = f"{OURS}/{kind}"
        if name not in self.a or name not in self.b:
            raise FeedrankError(
                f"the runs do not both have '{kind}'; A has {_kinds_in_words(self.a)}; B has "
                f"{_kinds_in_words(self.b)}. Name a common one, or run both with the same "
                "'validate.k'."
            )
        a, b = (t[name].to_numpy(np.float64) for t in (self.a, self.b))
        in_both = np.isfinite(a) & np.isfinite(b)
        a, b = (np.where(in_both, hits, np.nan) for hits in (a, b))
        k, is_expected = int(kind.split("@")[1]), kind.startswith("expected")
        are_lists_same = self.n_lists_that_differ(k) == 0
        gain = np.where(in_both, 0.0, np.nan) if are_lists_same and is_expected else b - a
        spreads = self._doubts(k) if is_expected else np.zeros(3)
        normal = np.random.default_rng(1).standard_normal(len(self.weights.of_user))
        of_a, of_b, of_gain = (
            estimate(values, self.weights, spread * normal)
            for values, spread in zip((a, b, gain), spreads, strict=True)
        )
        is_same, is_void = not gain[in_both].any(), self.is_expected_void and is_expected
        if is_same and are_lists_same:
            of_gain = replace(of_gain, low=0.0, high=0.0)
        return Difference(kind, of_a, of_b, of_gain.if_decisive(), is_same, is_void)

    def _doubts(self, k: int) -> np.ndarray:
        """Standard deviations of what no request tells: of A, of B, and of B less A.

        An older table says nothing of its doubt.
        """
        names = (_column_of(t, DOUBT, k) for t in (self.a, self.b))
        tables = zip((self.a, self.b), names, strict=True)
        a, b = (float(t[name].iloc[0]) if name in t else 0.0 for t, name in tables)
        shared = self._correlation(k) * a * b
        return np.array([a, b, np.sqrt(max(a**2 + b**2 - 2 * shared, 0.0))])

    def _correlation(self, k: int) -> float:
        """Of what no request tells of lists of k; 0 where an older table does not hold them."""
        if not all(POSTS in table for table in (self.a, self.b)):
            return 0.0
        ids, spreads = (
            [row[:k] for table in (self.a, self.b) for row in table[name]]
            for name in (POSTS, SPREADS)
        )
        is_taken = np.arange(k) < np.array([len(row) for row in ids])[:, None]
        lists, spread = np.full(is_taken.shape, -1), np.zeros(is_taken.shape)
        lists[is_taken] = pd.factorize(np.array([*chain.from_iterable(ids)], object))[0]
        spread[is_taken] = np.concatenate(spreads)
        both = (2, len(self.a), k)
        return float(doubt_correlation(lists.reshape(both), spread.reshape(both))[0, 1])

    def deciding(self, kind: str) -> Difference:
        """The difference of a hit rate that a build decides by.

        Raises:
            FeedrankError: a run has no such hits, too few requests, or those of too few users,
                have them in both runs, or they are void.
        """
        found = self.difference(kind)
        if found.is_void:
            raise FeedrankError(
                f"'{kind}' decides nothing: a run warns that it is void, as where the feed is not "
                "random. Decide by 'shown'."
            )
        if not found.gain.is_decisive:
            raise FeedrankError(
                f"'{kind}' has a value in both runs in {found.gain.n_requests} of {len(self.a)} "
                f"common requests, of {found.gain.n_users} users: below {LEAST_REQUESTS} requests "
                f"or {LEAST_USERS} users nothing can be decided by it. Decide by another with "
                "'--kind', or by a shorter list: 'shown' has a value where more than k posts were "
                "shown."
            )
        return found


def _by_key(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table by user and moment, sorted; raises `FeedrankError` where a request stands twice."""
    found = table.set_index(KEYS).sort_index()
    again = found.index[found.index.duplicated()]
    if len(again):
        raise FeedrankError(
            f"run {name} has {len(again)} requests more than once, such as user {again[0][0]} at "
            f"{again[0][1]}: its table is not what `dvc repro validate` writes. Run that again."
        )
    return found


def _kinds(table: pd.DataFrame) -> list[str]:
    return [c.split("/")[1] for c in table.columns if c.startswith(f"{OURS}/") and "@" in c]


def _kinds_in_words(table: pd.DataFrame) -> str:
    return ", ".join(_kinds(table)) or "none"


def _column_of(table: pd.DataFrame, name: str, k: int) -> str:
    """The column of a table about lists of k, `name` itself for the first k of the run."""
    first = next((c for c in table.columns if c.startswith(f"{OURS}/")), "")
    return name if first.endswith(f"@{k}") else f"{name}@{k}"


def kind_of(name: str, k: int) -> str:
    """'expected' at k as a table names it, 'expected@5'; 'expected@3' stays."""
    return name if "@" in name else column(OURS, name, k).split("/")[1]
