"""Whether `expected` is to be trusted, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.validation.methods import OURS
from feedrank.validation.randomness import CERTAIN, Finding
from feedrank.validation.replay import Judged
from feedrank.validation.scores import Scores

FEWEST_EFFECTIVE = 100.0
FEWEST_USERS = 30
LEAST_SUPPORT = 0.95
SLOPES = (0.5, 1.5)
MOST_SHIFT = 0.5


@dataclass(frozen=True)
class Trust:
    """What the estimate stands on.

    Attributes:
        warnings: sentences, none if there is nothing to warn of.
        support: of our lists' places, the share whose post is among those that the feed showed in
            the requests, so that something is known of it from the period itself.
        beyond: of our lists' places, the share whose score exceeds all but one in 1,000 of the
            impressions that the calibration was fitted on.
    """

    warnings: list[str]
    support: float
    beyond: float

    @property
    def is_trusted(self) -> bool:
        """Whether there is nothing to warn of."""
        return not self.warnings


def trust_of(
    judged: Judged, scores: Scores, names: Sequence[str], findings: Sequence[Sequence[Finding]]
) -> Trust:
    """Look at the feed, the matches and the calibration.

    Args:
        judged: requests of all folds.
        scores: of them.
        names: of the methods.
        findings: of the tests of each fold's feed.
    """
    ours = names.index(OURS)
    listed = judged.top[ours, :, : scores.k]
    support = _share(np.isin(listed[listed >= 0], judged.shown_post))
    usual = judged.shown_probability
    highest = np.quantile(usual, 0.999) if len(usual) else 1.0
    beyond = _share(judged.probability[ours, :, : scores.k][listed >= 0] > highest)
    detail = scores.methods[OURS].detail
    warnings = [_of_finding(f) for f in _unfair(findings)]
    if (n_users := len(np.unique(judged.user))) < FEWEST_USERS:
        warnings.append(
            f"The requests are of {n_users} users: too few for an interval to mean anything, since "
            "users are what is drawn anew. Extract more users, or a longer test period."
        )
    if detail.n_effective < FEWEST_EFFECTIVE:
        warnings.append(
            f"Only {detail.n_matching} impressions match our lists, worth {detail.n_effective:.0f} "
            "equal ones: expected is mostly our own belief, calibrated. Judge more requests."
        )
    if support < LEAST_SUPPORT:
        warnings.append(
            f"{1 - support:.0%} of the places of our lists hold posts that the feed did not show "
            "in these requests: nothing is known of them from the period itself."
        )
    slope = scores.calibration.slope
    if not SLOPES[0] <= slope <= SLOPES[1]:
        warnings.append(
            f"Our log-odds have to be multiplied by {slope:.2f} to hold on later impressions: the "
            "ranker is far from calibrated, and expected leans on that correction."
        )
    if abs(detail.shift) > MOST_SHIFT:
        warnings.append(
            f"Impressions that match our lists are liked {np.exp(detail.shift):.2f} times as often "
            "as calibrated scores say: the top is unlike the rest."
        )
    return Trust(warnings, support, beyond)


def _unfair(findings: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Of each test the largest difference over folds, where one is unfair."""
    worst: dict[str, Finding] = {}
    for finding in (f for fold in findings for f in fold if not f.is_fair):
        if finding.name not in worst or abs(finding.z) > abs(worst[finding.name].z):
            worst[finding.name] = finding
    return list(worst.values())


def _of_finding(finding: Finding) -> str:
    return (
        f"The feed is not random: {finding.words} ({finding.name}: {finding.size:.2f}, "
        f"z {finding.z:.0f} where {CERTAIN:.0f} is certain). Impressions that match a list are "
        "then not a fair sample of it, and expected is not to be trusted."
    )


def _share(is_so: np.ndarray) -> float:
    return float(is_so.mean()) if is_so.size else float("nan")
