"""Trust: what supports the hit rates, and what does not, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trust:
    """Support of the estimate.

    Attributes:
        warnings: sentences, none if there is nothing to warn of.
        severe: those of them that leave no hit rate to judge by: an artifact with one is not
            deployed by itself.
        feed: results of the tests of the feed, one sentence.
        support: share of our lists' places whose post the feed showed near the request.
        beyond: share of our lists' places whose score exceeds all but one in 1,000 of the
            impressions that the calibration was fitted on: the calibration extrapolates there.
        unjudged: kinds of hit rate that judge nothing, by a severe warning.
        headline: hit rate that leads: 'shown' where the tests of the feed make `expected` void.
    """

    warnings: list[str]
    severe: list[str]
    feed: str
    support: float
    beyond: float
    unjudged: tuple[str, ...]
    headline: str

    @property
    def void(self) -> tuple[str, ...]:
        """Kinds of hit rate that count for nothing: by the tests of the feed, or unjudged."""
        by_feed = ("expected",) if self.headline == "shown" else ()
        return tuple(dict.fromkeys([*by_feed, *self.unjudged]))
