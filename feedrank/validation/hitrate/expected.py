"""Off-policy hit rate `hitrate@k/expected`: had the lists been shown, how often were one liked?

The direct method of off-policy evaluation (Dudik et al., *Doubly robust policy evaluation and
learning*, 2011): a model of p, the probability of a like of a listed post, calibrated on test
impressions and corrected for each method on those that match its lists.

    logit p = intercept + slope * (s - center) + shift(method)

    s                 log-odds of our ranker's probability, fitted before the fold's cutoff
    intercept, slope  calibration on all impressions of the requests. The top of thousands of scores
                      is biased upwards (winner's curse); a slope below 1 corrects most of it
    shift(method)     a weighted logistic regression on the method's *matching* impressions, those
                      that stand high in its own list. Weights are inverse propensities times
                      min(1, k / place)^2 and enter by their ratios (self-normalised, as in SNIPS:
                      Swaminathan and Joachims, 2015). The prior is normal, centred at minus a tenth
                      of the list's lead in log-odds over the impressions, the selection bias that
                      the slope leaves. Posts that the feed did not show near the request have no
                      match: their shift is anywhere from the model's word to that of a post worse
                      than average, whatever the matches of the others say
    expected          mean over requests of 1 - E prod over the list of (1 - p)

E is over a normal random effect that all log-odds of a list share (`hitrate.dependence`), by
Gauss-Hermite quadrature: positively correlated likes give fewer hits than independent ones.

Every request has a pseudo-value: its hit probability plus its influence on the fitted numbers (the
infinitesimal jackknife; Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982).
Their mean is the estimate, and a cluster bootstrap of them over users covers the sampling of the
fitted numbers too, for any mean and any paired difference of means. Priors leave a doubt that no
resampling of requests shows: each resample is moved by a normal draw of it, so that without any
match the interval is that of the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from feedrank.stats.logistic import fit_logistic
from feedrank.validation.hitrate.calibration import Calibration, Shown, log_odds_of
from feedrank.validation.hitrate.dependence import share_of_same

# Chosen on simulated networks of ten kinds: docs/validation.md, "Coverage".
SELECTION_BIAS = 0.1  # share of a list's lead in log-odds over the impressions that is bias
MOST_BIAS = 0.05  # of it, in logits
SHIFT_SPREAD = 0.1  # standard deviation of the shift's prior, in logits
# Shift of posts that the feed did not show near the request, in leads of their log-odds over the
# impressions: 95 % of the prior are from half a lead above the model to a post far below average.
BARE_SHIFT, BARE_SPREAD = -0.5, 1.0
DOUBT_AT = np.linspace(-4, 4, 17)  # standard deviations; between them straight lines
# The matches alone estimate the shift under this prior, to see whether the narrow one must widen.
WIDE_SPREAD = 1.0
# Inverse propensities are clipped (Ionides, *Truncated importance sampling*, 2008): a match counts
# as ten average ones at most.
HIGHEST_WEIGHT = 10.0
# Seven nodes are exact for polynomials of degree 13, and within .0002 of 60 at a variance of 1.
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
SMALL = 1e-4  # of a difference quotient: an error of 1e-8 by curvature, 1e-12 by rounding


@dataclass(frozen=True)
class Lists:
    """The lists of one method, by request.

    Attributes:
        probability: our own of the posts of each list, 0 where a list is too short, shape
            (n_requests, k).
        cluster: of these posts, -1 where a list is too short, same shape.
        rank: place of each shown post in the method's longer list, -1 if beyond, shape (n_shown,).
        supported: whether the feed showed the post near the request, bool, shape (n_requests, k).
    """

    probability: np.ndarray
    cluster: np.ndarray
    rank: np.ndarray
    supported: np.ndarray


@dataclass(frozen=True)
class Shift:
    """Correction of a method's log-odds on its matching impressions.

    Attributes:
        value: in logits.
        influence: of each request on it, shape (n_requests,).
        spread: standard deviation that the prior leaves in it, beside the requests' sampling.
        n_matching: impressions that match.
        n_effective: of them, by their weights: (sum of w)^2 / sum of w^2 (Kish, 1965).
    """

    value: float
    influence: np.ndarray
    spread: float
    n_matching: int
    n_effective: float


@dataclass(frozen=True)
class Expected:
    """The estimate of one method.

    Attributes:
        value: mean over requests; NaN for no requests.
        pseudo: pseudo-values whose mean is `value`, shape (n_requests,).
        variance: that the log-odds of one list share.
        shift: correction of the method's log-odds.
        doubt: by how much the value would change if what no request tells were that many standard
            deviations higher (`DOUBT_AT`), shape (len(DOUBT_AT),).
    """

    value: float
    pseudo: np.ndarray
    variance: float
    shift: Shift
    doubt: np.ndarray

    def doubts(self, normal: np.ndarray) -> np.ndarray:
        """The change of the value at standard normal numbers, same shape."""
        return np.interp(normal, DOUBT_AT, self.doubt)


def expected_hitrate(shown: Shown, calibration: Calibration, lists: Lists) -> Expected:
    """The estimate of one method; `calibration` was fitted on the impressions shown."""
    if not shown.n_requests:
        return Expected(
            float("nan"),
            np.zeros(0),
            0.0,
            Shift(0.0, np.zeros(0), 0.0, 0, 0.0),
            np.zeros(len(DOUBT_AT)),
        )
    model = _Model.of(calibration, lists)
    shift = _shift(shown, calibration, lists)
    variance, of_variance = calibration.dependence.variance(share_of_same(lists.cluster))
    influence = np.column_stack([calibration.influence, of_variance, shift.influence])
    at = np.array([calibration.intercept, calibration.slope, variance, shift.value])
    # A variance cannot fall below 0: there the difference quotient is one-sided.
    below = np.array([SMALL, SMALL, SMALL if variance > SMALL else 0.0, SMALL])
    high, low = (at + SMALL * np.eye(4), at - np.diag(below))
    rise = np.array(
        [(model.hit(h) - model.hit(lo)).mean() for h, lo in zip(high, low, strict=True)]
    )
    own = model.hit(at)
    pseudo = own + len(own) * influence @ (rise / (SMALL + below))
    one = np.array([0, 0, 0, shift.spread])
    moved = [model.hit(at + z * one, z).mean() for z in DOUBT_AT.tolist()]
    return Expected(float(own.mean()), pseudo, variance, shift, np.array(moved) - own.mean())


@dataclass(frozen=True)
class _Model:
    """Hit probabilities of one method's lists, as a function of what was fitted.

    Attributes:
        listed: whether a place is taken, shape (n_requests, k).
        supported: as in `Lists`.
        score: our log-odds from the calibration's center, same shape.
        lead: of the listed posts without support, in calibrated log-odds over the impressions.
    """

    listed: np.ndarray
    supported: np.ndarray
    score: np.ndarray
    lead: float

    @classmethod
    def of(cls, calibration: Calibration, lists: Lists) -> _Model:
        listed = lists.probability > 0
        score = np.where(listed, log_odds_of(lists.probability) - calibration.center, 0.0)
        lead = _lead(calibration, lists.probability[listed & ~lists.supported])
        return cls(listed, lists.supported, score, lead)

    def hit(self, at: np.ndarray, z: float = 0.0) -> np.ndarray:
        """Hit probability of each list, shape (n_requests,).

        Args:
            at: intercept, slope, variance and shift.
            z: standard deviations from the mean of the shift of posts without support.
        """
        intercept, slope, variance, shift = at
        bare = BARE_SHIFT * max(self.lead, 0.0) + z * max(
            SHIFT_SPREAD, BARE_SPREAD * abs(self.lead)
        )
        moved = intercept + np.where(self.supported, shift, bare) + slope * self.score
        return hit_probability(np.where(self.listed, moved, -np.inf), variance)


def matching_weight(rank: np.ndarray, propensity: np.ndarray, k: int) -> np.ndarray:
    """Weight of a matching impression: its place in the list over its propensity, shape (n,).

    1 within the list, falling as the square of k over the place beyond it; then over the relative
    propensity, so that the posts of a list count alike however often the feed shows them.

    Args:
        rank: place in the method's longer list, from 0, shape (n,).
        propensity: 1 for an average post, shape (n,).
        k: length of the list.
    """
    place = np.minimum(1.0, k / np.maximum(rank + 1.0, 1.0)) ** 2
    return place / np.maximum(propensity, 1 / HIGHEST_WEIGHT)


def hit_probability(log_odds: np.ndarray, variance: float) -> np.ndarray:
    """Probability of at least one like in each list: 1 - E prod(1 - p), shape (n_requests,).

    E is over a normal shift that all log-odds of a list share, by Gauss-Hermite quadrature. The
    log-odds are stretched by sqrt(1 + pi / 8 * variance), so that each p keeps its mean (MacKay,
    *The evidence framework applied to classification networks*, 1992).

    Args:
        log_odds: of the mean p, -inf for a place that is empty, shape (n_requests, k).
        variance: of the shared shift, in squared logits.
    """
    stretched = log_odds * np.sqrt(1 + np.pi * max(variance, 0.0) / 8)
    total = NODE_WEIGHTS.sum()
    missed = np.zeros(len(log_odds))
    for node, weight in zip(NODES, NODE_WEIGHTS, strict=True):
        moved = stretched + node * np.sqrt(max(variance, 0.0))
        missed += weight / total * np.prod(expit(-moved), axis=1)
    return 1.0 - missed


def _shift(shown: Shown, calibration: Calibration, lists: Lists) -> Shift:
    """The posterior mode of a method's shift, and the influence of each request on it."""
    matching = np.flatnonzero(lists.rank >= 0)
    k = lists.probability.shape[1]
    weight = matching_weight(lists.rank[matching], shown.propensity[matching], k)
    liked = shown.liked[matching].astype(np.float64)
    base = calibration.log_odds(shown.probability[matching])
    supported = lists.probability[(lists.probability > 0) & lists.supported]
    prior = -float(np.clip(SELECTION_BIAS * _lead(calibration, supported), 0.0, MOST_BIAS))
    value, precision = _posterior_mode(base, liked, weight, prior)
    p = expit(base + value)
    v = weight * p * (1 - p)
    curvature = v.sum() + precision
    influence = np.bincount(shown.request[matching], weight * (liked - p), shown.n_requests)
    influence = influence / curvature
    influence -= influence.mean()
    # The shift falls where intercept or slope rise.
    score = log_odds_of(shown.probability[matching]) - calibration.center
    response = np.array([v.sum(), np.sum(v * score)]) / curvature
    n_effective = float(weight.sum() ** 2 / max(np.sum(weight**2), 1e-12))
    influence -= calibration.influence @ response
    # Sampling has v / curvature^2 of the posterior variance 1 / curvature; the prior has the rest.
    spread = np.sqrt(precision) / curvature
    return Shift(value, influence, float(spread), len(matching), n_effective)


def _lead(calibration: Calibration, listed: np.ndarray) -> float:
    """Mean calibrated log-odds of the listed posts less those of the impressions."""
    return float(calibration.log_odds(listed).mean()) - calibration.mean if len(listed) else 0.0


def _posterior_mode(
    base: np.ndarray, liked: np.ndarray, weight: np.ndarray, prior_mean: float
) -> tuple[float, float]:
    """The shift of log-odds `base`, and the precision of its prior.

    The prior's spread is `SHIFT_SPREAD`, or the distance by which the matches alone exceed two
    standard errors, if that is more.
    """
    design = np.ones((len(base), 1))

    def fit(precision: float) -> tuple[float, float]:
        found = fit_logistic(
            design, liked, np.array([prior_mean]), np.array([precision]), base, weight
        )
        return float(found.weights[0]), float(found.curvature[0, 0])

    free, curvature = fit(WIDE_SPREAD**-2)
    p = expit(base + free)
    error = np.sqrt(np.sum(weight**2 * p * (1 - p))) / curvature
    precision = max(SHIFT_SPREAD, abs(free - prior_mean) - 2 * error) ** -2
    return fit(precision)[0], precision
