"""Policies: who chose the posts that were shown, the old feed or a service that logs its lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.validation.replay.requests import Requests

OLD_FEED = "old feed"
# A drawn post has a propensity below it where the share of the places that explore is small; the
# post of a place that explores now and then has one above it.
EVEN = 0.5


@dataclass(frozen=True)
class Policies:
    """Impressions of some requests by the policy that chose them.

    Attributes:
        n_shown: by name, the largest first.
        n_by_chance: impressions whose post was likelier to be missing in its list than not.
    """

    n_shown: dict[str, int]
    n_by_chance: int

    @classmethod
    def of(cls, requests: Requests, names: Sequence[str]) -> Policies:
        """Of the impressions of requests; `names` are those of the log."""
        n = np.bincount(requests.policy, minlength=len(names) + 1)
        found = zip((OLD_FEED, *names), n.tolist(), strict=True)
        by_chance = (requests.policy > 0) & (requests.propensity < EVEN)
        return cls({name: k for name, k in found if k}, int(by_chance.sum()))

    @classmethod
    def joined(cls, parts: Sequence[Policies]) -> Policies:
        """Of several folds."""
        names = dict.fromkeys(name for part in parts for name in part.n_shown)
        n_shown = {name: sum(part.n_shown.get(name, 0) for part in parts) for name in names}
        return cls(n_shown, sum(part.n_by_chance for part in parts))

    @property
    def logged(self) -> float:
        """Share of the impressions whose propensity is logged; NaN without impressions."""
        total = sum(self.n_shown.values())
        return 1 - self.n_shown.get(OLD_FEED, 0) / total if total else float("nan")

    def in_words(self) -> str:
        """Who chose what was shown, as a sentence; empty if nothing is logged."""
        if not self.n_shown or set(self.n_shown) == {OLD_FEED}:
            return ""
        by = "an artifact" if len(self.n_shown.keys() - {OLD_FEED}) == 1 else "artifacts"
        return (
            f"Of the posts shown, {self.logged:.0%} were chosen by {by} whose propensities are "
            f"logged, {self.n_by_chance:,} of them against the odds."
        )
