"""Warnings: the reasons not to trust `expected`, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.stats.intervals import LEAST_REQUESTS, LEAST_USERS
from feedrank.validation.feed.excess import CERTAIN
from feedrank.validation.feed.randomness import Finding, said_of
from feedrank.validation.hitrate.scores import KINDS, Scores
from feedrank.validation.methods import OURS
from feedrank.validation.replay.policies import Policies
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.results.trust import Trust

# The standard error of a log-odds of n equal impressions at a like rate p is 1 / sqrt(n p (1 - p)):
# at p = .1 it is .33 for 100 of them, nearly seven times the least spread of the shift's prior,
# which then outweighs the matches.
FEWEST_EFFECTIVE = 100.0
# Percentile intervals of n clusters are 1.96 / t(n - 1) * sqrt((n - 1) / n) as wide as they should
# be, 6 % too narrow at 30 (Hesterberg, *What teachers should know about the bootstrap*, 2015).
FEWEST_USERS = 30
FEWEST_LIKES = 30  # of a fold, and of impressions that were not liked: log-odds are known to .18
LEAST_SUPPORT = 0.9  # an even feed misses .05 by chance: see `LEAST_IMPRESSIONS` of support
NO_SUPPORT = 0.5  # below, most of what our lists hold is not in the log at all
SLOPES = (0.5, 1.5)  # one spread of the slope's prior around 1
MOST_SHIFT = 0.5  # ten times the least spread of the shift's prior
USUAL_SHARE = 0.05  # of places that explore: docs/exploration.md
ONLY_LONG = "It judges requests with more than k posts shown: shorten 'validate.k'. "
LEADS = ("most_liked", "most_liked_by_segment")  # baselines whose own estimates are examined


@dataclass(frozen=True)
class _Method:
    """Matches and support of one method's lists."""

    n_matching: int
    n_effective: float
    shift: float
    support: float

    @classmethod
    def of(cls, name: str, replayed: ReplayResult, scores: Scores, names: Sequence[str]) -> _Method:
        shift = scores.methods[name].detail.shift
        listed = replayed.top[names.index(name), :, : scores.k]
        supported = replayed.top_supported[names.index(name), :, : scores.k]
        support = _share(supported[listed >= 0])
        return cls(shift.n_matching, shift.n_effective, shift.value, support)

    def doubts(self, more: str = "") -> Iterator[tuple[str, str]]:
        """Reasons not to trust its estimate: a sentence for ours, a few words for a baseline."""
        unsupported, times = f"{1 - self.support:.0%}", f"{np.exp(self.shift):.2f}"
        if self.n_effective < FEWEST_EFFECTIVE:
            yield (
                f"Only {self.n_matching} impressions match our lists, an effective sample of "
                f"{self.n_effective:.0f}: the estimate relies mostly on the model. {more}",
                f"effective sample of {self.n_effective:.0f}",
            )
        if self.support < LEAST_SUPPORT:
            yield (
                f"{unsupported} of the places of our lists hold posts that the feed did not show "
                "near the request: the log holds no evidence of them then, and expected is in "
                "doubt by as much.",
                f"{unsupported} of its places not shown",
            )
        if abs(self.shift) > MOST_SHIFT:
            yield (
                f"Impressions that match our lists are liked {times} times as often as the "
                "calibrated scores predict: the calibration does not hold at the top.",
                f"matches liked {times} times as often as predicted",
            )


def trust_of(
    folds: Sequence[ReplayResult],
    scores: Scores,
    names: Sequence[str],
    findings: Sequence[Sequence[Finding]],
    asked: int,
    policies: Policies,
    n_posts: int,
) -> Trust:
    """Warnings about the feed, the labels, the requests, the matches and the calibration.

    Args:
        folds: requests of each fold.
        scores: of all of them.
        names: of the methods.
        findings: of the tests of each fold's feed.
        asked: requests of a fold at most: a fold with fewer has replayed all that there are.
        policies: that chose what was shown.
        n_posts: of the catalogue.
    """
    more = _advice(any(len(fold.user) >= asked for fold in folds))
    replayed = ReplayResult.joined(folds)
    ours = _Method.of(OURS, replayed, scores, names)
    baselines = {n: _Method.of(n, replayed, scores, names) for n in LEADS if n in scores.methods}
    unfair = _unfair(findings)
    warnings = [_of_finding(f) for f in unfair]
    headline = "shown" if unfair else "expected"
    blind, unseen = [*_of_labels(folds, more), *_of_users(replayed)], [*_of_support(ours.support)]
    unjudged = KINDS if blind else ("expected",) if unseen else ()
    few = dict(_of_judged(scores, more))
    severe = [*blind, *unseen, *(words for kind, words in few.items() if kind == headline)]
    warnings += [*severe, *(words for kind, words in few.items() if kind != headline)]
    warnings += [sentence for sentence, _ in ours.doubts(more)]
    warnings += _of_policies(policies, replayed, scores.k, n_posts)
    warnings += [*_of_calibration(scores.calibration.slope), *_of_baselines(baselines)]
    probability = replayed.top_probability[names.index(OURS), :, : scores.k]
    shown = replayed.shown_probability
    highest = np.quantile(shown, 0.999) if len(shown) else 1.0
    beyond = _share(probability[replayed.top[names.index(OURS), :, : scores.k] >= 0] > highest)
    tested = [f for fold in findings for f in fold]
    feed = " ".join(filter(None, (policies.in_words(), said_of(tested) if tested else "")))
    return Trust(warnings, severe, feed, ours.support, beyond, unjudged, headline)


def _advice(are_left: bool) -> str:
    """How to get more requests, where some are left and where all were replayed."""
    if are_left:
        return "Replay more requests ('validate.requests')."
    return "All requests were replayed: lengthen 'validate.test_days', or extract more users."


def _of_labels(folds: Sequence[ReplayResult], more: str) -> Iterator[str]:
    """Folds with hardly any likes, or hardly any impressions without."""
    for number, replayed in enumerate(folds):
        n_liked, n = int(replayed.shown_liked.sum()), len(replayed.shown_liked)
        count, kind = min((n_liked, "liked"), (n - n_liked, "not liked"))
        if count < FEWEST_LIKES:
            yield (
                f"Of {n} impressions in the requests of fold {number}, only {count} were {kind}: "
                "too few to calibrate by, whatever the interval. See whether the column that "
                f"'source.target' names is filled to the end of the log. {more}"
            )


def _of_users(replayed: ReplayResult) -> Iterator[str]:
    if (n_users := len(np.unique(replayed.user))) < FEWEST_USERS:
        yield (
            f"The requests are of {n_users} users: too few for intervals, which resample users. "
            "Extract more users, or a longer test period."
        )


def _of_judged(scores: Scores, more: str) -> Iterator[tuple[str, str]]:
    """Kinds of hit rate with too few judged requests for a decision, each with a sentence."""
    n = len(scores.weights.user)
    for kind in ("expected", "shown"):
        found = getattr(scores.methods[OURS], kind)
        if not found.is_decisive:
            yield (
                kind,
                f"By {kind}@{scores.k} {found.n_requests} of {n} requests are judged, of "
                f"{found.n_users} users: below {LEAST_REQUESTS} requests or {LEAST_USERS} users "
                f"nothing is decided by it. {ONLY_LONG if kind == 'shown' else ''}{more}",
            )


def _of_support(support: float) -> Iterator[str]:
    if support < NO_SUPPORT:
        yield (
            "Most posts of our lists were not shown to anybody near the request, so no hit rate "
            "judges the lists; 'shown' judges only their order among other posts. See whether the "
            "posts are still up, and let 'source.hidden' name the column that says so."
        )


def _of_calibration(slope: float) -> Iterator[str]:
    if not SLOPES[0] <= slope <= SLOPES[1]:
        yield (
            f"The calibration slope is {slope:.2f}: the ranker's log-odds are far from calibrated, "
            "and the estimate relies on the correction."
        )


def _of_baselines(baselines: dict[str, _Method]) -> Iterator[str]:
    """One sentence for the baselines that would be warned of, were they ours."""
    doubts = {name: [few for _, few in method.doubts()] for name, method in baselines.items()}
    found = [f"'{name}' ({', '.join(few)})" for name, few in doubts.items() if few]
    if found:
        yield (
            f"The comparison with {' and '.join(found)} has little support: treat it as "
            "inconclusive."
        )


def _of_policies(policies: Policies, replayed: ReplayResult, k: int, n_posts: int) -> Iterator[str]:
    """What lists without exploration leave unknown, and how much exploration would tell it.

    An even draw of a post is one of a list, or near it, by a chance of 2 k of `n_posts`.
    """
    if policies.logged > 0 and not policies.n_by_chance:
        n_days = (int(replayed.at.max()) - int(replayed.at.min())) / SECONDS_A_DAY
        a_day = len(replayed.shown_post) * policies.logged * USUAL_SHARE / max(n_days, 1.0)
        days = int(np.ceil(FEWEST_EFFECTIVE / (a_day * min(2 * k / n_posts, 1.0))))
        yield (
            "The posts shown were chosen without exploration: the log tells nothing of a post that "
            "the lists left out, and for what a new ranker would show instead expected is the "
            f"model's word. With 'export.explore: {USUAL_SHARE}' about {a_day:,.0f} impressions a "
            f"day would be drawn by chance, and {days:,} day{'s' * (days > 1)} of them would tell."
        )


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
        f"z {finding.z:.0f}, significant from {CERTAIN:.0f}). Impressions that match a list are "
        "then no fair sample of it, and expected is not to be trusted."
    )


def _share(is_so: np.ndarray) -> float:
    return float(is_so.mean()) if is_so.size else float("nan")
