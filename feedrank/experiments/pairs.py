"""Whether run B beats run A on the same requests, in words and with a paired interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feedrank.errors import FeedrankError
from feedrank.validation.methods import OURS
from feedrank.validation.metrics import Estimate, estimate, user_weights
from feedrank.validation.table import LIST, column

KEYS = ["user_id", "at"]
LEAST_COMMON = 50


@dataclass(frozen=True)
class Pairs:
    """Requests that both runs judged.

    Attributes:
        a: hits of run A, one row a request.
        b: hits of run B, in the same order.
        weights: resamples of users, shape (n_resamples, n_requests).
        n_a: requests of run A, common or not.
        n_b: requests of run B.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    weights: np.ndarray
    n_a: int
    n_b: int

    @classmethod
    def of(cls, a: pd.DataFrame, b: pd.DataFrame, bootstrap: int, seed: int) -> Pairs:
        """Match two tables by user and moment.

        Raises:
            FeedrankError: they have hardly a request in common.
        """
        first, second = (t.set_index(KEYS).sort_index() for t in (a, b))
        common = first.index.intersection(second.index)
        if len(common) < LEAST_COMMON:
            raise FeedrankError(
                f"the runs have {len(common)} requests in common, of {len(a)} and {len(b)}: they "
                "cannot be compared. Use the same data, 'validate.requests', 'validate.folds', "
                "'validate.test_days' and 'validate.seed' in both."
            )
        users = common.get_level_values("user_id").to_numpy()
        weights = user_weights(users, bootstrap, seed)
        return cls(first.loc[common], second.loc[common], weights, len(a), len(b))

    def kinds(self) -> list[str]:
        """Hit rates that both runs have, such as 'expected@5', in the order of A."""
        mine = [c.split("/")[1] for c in self.a.columns if c.startswith(f"{OURS}/")]
        return [kind for kind in mine if f"{OURS}/{kind}" in self.b]

    def n_lists_that_differ(self) -> int | None:
        """Of how many requests the lists hold other posts; None where a run does not say."""
        if LIST not in self.a or LIST not in self.b:
            return None
        return int((self.a[LIST].to_numpy() != self.b[LIST].to_numpy()).sum())

    def difference(self, kind: str, method: str = OURS) -> Difference:
        """By how much B exceeds A.

        Two runs that list the same differ in what they think of these lists, not in what users
        would get: the gain in `expected` is 0 then, whatever the two estimates are.

        Args:
            kind: such as 'expected@5'.
            method: whose hits are compared.

        Raises:
            FeedrankError: a run has no such hits.
        """
        name = f"{method}/{kind}"
        if name not in self.a or name not in self.b:
            known = ", ".join(self.kinds())
            raise FeedrankError(f"the runs do not both have '{kind}'; common are {known}.")
        a, b = (t[name].to_numpy(np.float64) for t in (self.a, self.b))
        are_lists_same = name == self._judged_lists() and self.n_lists_that_differ() == 0
        return Difference(
            kind,
            estimate(a, self.weights),
            estimate(b, self.weights),
            estimate(np.zeros(len(a)) if are_lists_same else b - a, self.weights),
            are_lists_same or bool(np.array_equal(a, b, equal_nan=True)),
        )

    def _judged_lists(self) -> str:
        """The hit rate of the very lists that `list` tells apart."""
        return column(OURS, "expected", int(self.kinds()[0].split("@")[1]))


@dataclass(frozen=True)
class Difference:
    """One hit rate of two runs.

    Attributes:
        kind: such as 'expected@5'.
        a: of run A.
        b: of run B.
        gain: B less A, with the paired interval.
        is_same: whether every request has the same value.
    """

    kind: str
    a: Estimate
    b: Estimate
    gain: Estimate
    is_same: bool

    def words(self) -> str:
        """Who is better."""
        if self.is_same:
            return "the same in every request"
        if self.gain.low > 0:
            return f"B beats A by {self.gain.value:.4f}"
        if self.gain.high < 0:
            return f"A beats B by {-self.gain.value:.4f}"
        return "too close to tell: the interval holds 0"

    def line(self) -> str:
        """Numbers and words."""
        return (
            f"{'hitrate@' + self.kind.split('@')[1] + '/' + self.kind.split('@')[0]:22}"
            f"A {self.a.value:.4f}  B {self.b.value:.4f}  B - A {self.gain.value:+.4f} "
            f"[{self.gain.low:+.4f}, {self.gain.high:+.4f}]  {self.words()}"
        )


def is_refused(difference: Difference, tolerance: float, when: str) -> bool:
    """Whether a build should refuse run B.

    Args:
        difference: of the hit rate that decides.
        tolerance: a loss that does not matter.
        when: 'worse': B loses more than the tolerance, the whole interval says so; 'doubtful': B
            may lose more than the tolerance, some of the interval says so.
    """
    bound = difference.gain.high if when == "worse" else difference.gain.low
    return not difference.is_same and bool(bound < -tolerance)


def kind_of(name: str, k: int) -> str:
    """'expected' at k as a table names it; 'expected@3' stays."""
    return name if "@" in name else column(OURS, name, k).split("/")[1]
