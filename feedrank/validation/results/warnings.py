"""Whether `expected` is to be trusted, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.validation.feed.randomness import CERTAIN, Finding, said_of
from feedrank.validation.hitrate.scores import Scores
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult

FEWEST_EFFECTIVE = 100.0
FEWEST_USERS = 30
FEWEST_LIKES = 30  # of a fold; and of impressions that were not liked
LEAST_SUPPORT = 0.95
SLOPES = (0.5, 1.5)
MOST_SHIFT = 0.5
LEADS = ("most_liked", "most_liked_by_segment")  # whose estimates our leads rest on


@dataclass(frozen=True)
class Trust:
    """What the estimate stands on.

    Attributes:
        warnings: sentences, none if there is nothing to warn of.
        feed: how the tests of the feed came out, one sentence.
        support: of our lists' places, the share whose post is among those that the feed showed in
            the requests, so that something is known of it from the period itself.
        beyond: of our lists' places, the share whose score exceeds all but one in 1,000 of the
            impressions that the calibration was fitted on.
    """

    warnings: list[str]
    feed: str
    support: float
    beyond: float

    @property
    def is_trusted(self) -> bool:
        """Whether there is nothing to warn of."""
        return not self.warnings


def trust_of(
    folds: Sequence[ReplayResult],
    scores: Scores,
    names: Sequence[str],
    findings: Sequence[Sequence[Finding]],
) -> Trust:
    """Look at the feed, the labels, the matches and the calibration.

    Args:
        folds: requests of each fold.
        scores: of all of them.
        names: of the methods.
        findings: of the tests of each fold's feed.
    """
    judged, ours = ReplayResult.joined(folds), names.index(OURS)
    usual = judged.shown_probability
    highest = np.quantile(usual, 0.999) if len(usual) else 1.0
    listed = judged.top[ours, :, : scores.k] >= 0
    beyond = _share(judged.probability[ours, :, : scores.k][listed] > highest)
    warnings = [_of_finding(f) for f in _unfair(findings)]
    warnings += _of_labels(folds) + _of_users(judged)
    warnings += _of_ours(judged, scores, ours) + _of_calibration(scores)
    warnings += _of_baselines(judged, scores, names)
    feed = said_of([f for fold in findings for f in fold])
    return Trust(warnings, feed, _support(judged, scores.k, ours), beyond)


def _of_labels(folds: Sequence[ReplayResult]) -> list[str]:
    """Folds with hardly any likes, or hardly any impressions without."""
    found = []
    for number, judged in enumerate(folds):
        n_liked, n = int(judged.shown_liked.sum()), len(judged.shown_liked)
        count, kind = min((n_liked, "liked"), (n - n_liked, "not liked"))
        if count < FEWEST_LIKES:
            found.append(
                f"Of {n} impressions judged in fold {number}, only {count} were {kind}: too few to "
                "calibrate by, whatever the interval says. See whether the column that "
                "'source.target' names is filled to the end of the log, or judge more requests."
            )
    return found


def _of_users(judged: ReplayResult) -> list[str]:
    if (n_users := len(np.unique(judged.user))) >= FEWEST_USERS:
        return []
    return [
        f"The requests are of {n_users} users: too few for an interval to mean anything, since "
        "users are what is drawn anew. Extract more users, or a longer test period."
    ]


def _of_ours(judged: ReplayResult, scores: Scores, ours: int) -> list[str]:
    detail, support = scores.methods[OURS].detail, _support(judged, scores.k, ours)
    warnings = []
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
    if abs(detail.shift) > MOST_SHIFT:
        warnings.append(
            f"Impressions that match our lists are liked {np.exp(detail.shift):.2f} times as often "
            "as calibrated scores say: the top is unlike the rest."
        )
    return warnings


def _of_calibration(scores: Scores) -> list[str]:
    slope = scores.calibration.slope
    if SLOPES[0] <= slope <= SLOPES[1]:
        return []
    return [
        f"Our log-odds have to be multiplied by {slope:.2f} to hold on later impressions: the "
        "ranker is far from calibrated, and expected leans on that correction."
    ]


def _of_baselines(judged: ReplayResult, scores: Scores, names: Sequence[str]) -> list[str]:
    """What would be warned of, were the baselines ours: one sentence for all of them."""
    found = []
    for name in (n for n in LEADS if n in scores.methods):
        detail = scores.methods[name].detail
        support = _support(judged, scores.k, names.index(name))
        doubts = []
        if detail.n_effective < FEWEST_EFFECTIVE:
            doubts.append(f"matches worth {detail.n_effective:.0f} impressions")
        if support < LEAST_SUPPORT:
            doubts.append(f"{1 - support:.0%} of its places not shown")
        if abs(detail.shift) > MOST_SHIFT:
            doubts.append(f"matches liked {np.exp(detail.shift):.2f} times as often as scores say")
        if doubts:
            found.append(f"'{name}' ({', '.join(doubts)})")
    if not found:
        return []
    return [f"Leads over {' and '.join(found)} rest on little: read them with care."]


def _support(judged: ReplayResult, k: int, method: int) -> float:
    """Share of a method's places that hold posts which the feed showed in the requests."""
    listed = judged.top[method, :, :k]
    return _share(np.isin(listed[listed >= 0], judged.shown_post))


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
