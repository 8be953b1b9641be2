"""Off-policy hit rate `hitrate@k/expected`: had the lists been shown, how often were one liked?

The direct method of off-policy evaluation (Dudik et al., *Doubly robust policy evaluation and
learning*, 2011): a model of p, the probability of a like of a listed post, calibrated on test
impressions and corrected for each method on those that match its lists.

    logit p = intercept + slope (s - center) + c x + bend max(x - 1.5, 0) + r (f + g x) + shift

    s                 log-odds of our ranker's probability, fitted before the fold's cutoff
    x                 s less its mean over the request, in standard deviations
    r                 how much more the feed shows the post near the request than the post of an
                      average impression, in logs, at most 0
    intercept, slope, c, bend, f, g
                      calibration on all impressions of the requests. The top of thousands of scores
                      is biased upwards (winner's curse); a slope below 1, and a bend below 0 of
                      what stands out, correct most of it. Of posts that are hardly shown any more
                      the ranker has learned least
    shift             of a method: a weighted logistic regression on the method's *matching*
                      impressions, those that stand high in its own list. Weights are inverse
                      propensities times min(1, k / place)^2 and enter by their ratios
                      (self-normalised, as in SNIPS: Swaminathan and Joachims, 2015). The prior is
                      normal, centred at minus .1 of the list's lead in log-odds over the
                      impressions, the selection bias that the calibration leaves; a part of its
                      variance is what is not known of the posts of the lists (`hitrate.doubt`).
                      Posts that the feed did not show near the request have no match: their shift
                      is anywhere from the model's word to that of a post worse than average,
                      whatever the matches of the others say
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

from feedrank.validation.hitrate.calibration import Calibration, Shown
from feedrank.validation.hitrate.hit_model import HitModel, Lists
from feedrank.validation.hitrate.shift import Shift, shift_of

DOUBT_AT = np.linspace(-4, 4, 17)  # standard deviations; between them straight lines
SMALL = 1e-4  # of a difference quotient: an error of 1e-8 by curvature, 1e-12 by rounding


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
            Shift(0.0, np.zeros(0), 0.0, 0, 0, 0.0),
            np.zeros(len(DOUBT_AT)),
        )
    model = HitModel.of(calibration, lists)
    shift = shift_of(shown, calibration, lists, model.lead)
    variance, of_variance = calibration.dependence.variance(model.product)
    influence = np.column_stack([calibration.influence, of_variance, shift.influence])
    at = np.array([*calibration.weights, variance, shift.value])
    # A variance cannot fall below 0: there the difference quotient is one-sided.
    below = np.array([*[SMALL] * (len(at) - 2), SMALL if variance > SMALL else 0.0, SMALL])
    high, low = (at + SMALL * np.eye(len(at)), at - np.diag(below))
    rise = np.array(
        [(model.hit(h) - model.hit(lo)).mean() for h, lo in zip(high, low, strict=True)]
    )
    own = model.hit(at)
    pseudo = own + len(own) * influence @ (rise / (SMALL + below))
    one = np.array([*[0] * (len(at) - 1), shift.spread])
    moved = [model.hit(at + z * one, z).mean() for z in DOUBT_AT.tolist()]
    return Expected(float(own.mean()), pseudo, variance, shift, np.array(moved) - own.mean())
