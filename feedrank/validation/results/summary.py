"""Summary of all folds: reports and sentences from one scoring of their requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from feedrank.log.files import Log
from feedrank.params import ValidateParams
from feedrank.state.catalogue import Catalogue
from feedrank.validation.feed.randomness import exposure_in_words
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.matches import Matches
from feedrank.validation.replay.policies import Policies
from feedrank.validation.replay.requests import n_asked
from feedrank.validation.results.details import details_of
from feedrank.validation.results.leads import leaders_in_words
from feedrank.validation.results.metrics_json import metrics_of
from feedrank.validation.results.requests_table import requests_table
from feedrank.validation.results.slices import (
    slices_in_words,
    supported_slices,
    worst_slices,
)
from feedrank.validation.results.trust import Trust
from feedrank.validation.results.warnings import trust_of


@dataclass(frozen=True)
class Summary:
    """Folds, their scores at each k, and the warnings about them."""

    results: Sequence[FoldResult]
    params: ValidateParams
    scores: Sequence[Scores]
    trust: Trust

    @classmethod
    def of(cls, results: Sequence[FoldResult], params: ValidateParams) -> Summary:
        """Score the requests of all folds together."""
        replayed, names = joined(results), results[0].names
        others = Matches.joined([r.others for r in results])
        scores = [score(replayed, names, k, params, None, others) for k in params.k]
        found = [r.randomness for r in results]
        asked = n_asked(params, results[0].n_posts)
        policies = Policies.joined([r.policies for r in results])
        folds, n_posts = [r.replayed for r in results], results[0].n_posts
        trust = trust_of(folds, scores[0], names, found, asked, policies, n_posts)
        if any(found):
            columns = list(dict.fromkeys(c for r in results for c in r.strata_columns))
            trust = replace(trust, feed=f"{trust.feed} {exposure_in_words(columns)}")
        scores = [found.without_intervals(trust.unjudged) for found in scores]
        return cls(results, params, scores, trust)

    def metrics(self, truth: dict[str, Any] | None) -> dict[str, Any]:
        """Of `reports/metrics.json`."""
        return metrics_of(self.results, self.scores, self.trust, truth)

    def details(self, slices: pd.DataFrame, topics: list[dict[str, Any]]) -> dict[str, Any]:
        """Of `reports/details.json`."""
        found = details_of(self.results, self.scores, self.trust, self.params)
        slices = supported_slices(slices, self.trust.void)
        found["slices"] = slices_in_words(slices)
        found["worst_slices"] = worst_slices(slices)
        found["topics"] = topics
        return found

    def requests(self, log: Log, catalogue: Catalogue) -> pd.DataFrame:
        """Of `reports/requests.parquet`."""
        return requests_table(
            self.results, self.scores, log, catalogue, "expected" in self.trust.void
        )

    def words(self, slices: pd.DataFrame, metrics: dict[str, Any]) -> list[str]:
        """Who leads, headline, matches, tests of the feed, warnings and slices, a sentence each.

        Args:
            slices: hit rates by slice.
            metrics: of `metrics`.
        """
        first = self.scores[0]
        ours = first.methods[OURS]
        expected, shown = ours.expected, ours.shown
        rates = f"shown {shown.words()}"
        if self.trust.headline == "expected":
            rates = f"expected {expected.words()}, {rates}"
        slices = supported_slices(slices, self.trust.void)
        matches = ours.detail.shift
        return [
            leaders_in_words(metrics[f"lead@{first.k}"], self.trust.headline),
            f"hitrate@{first.k}/{rates}, {expected.n_requests} requests",
            f"{matches.n_listed} impressions are in our lists, {matches.n_matching} in them or "
            f"near: an effective sample of {matches.n_effective:.0f}",
            self.trust.feed,
            *(f"warning: {words}" for words in self.trust.warnings),
            *slices_in_words(slices),
            *(f"smallest lead for {words}" for words in worst_slices(slices)),
        ]
