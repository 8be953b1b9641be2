"""Hit model: the probability that a list holds a like, given calibrated log-odds of its posts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.validation.hitrate.calibration import Calibration
from feedrank.validation.hitrate.dependence import mean_product
from feedrank.validation.replay.matches import NO_MATCHES, Matches

# Standard deviation of a shift's prior, in logits, beside what is not known of posts.
SHIFT_SPREAD = 0.03
# Shift of posts that the feed did not show near the request, in leads of their log-odds over the
# impressions: 95 % of the prior are from 1.5 leads above the model to 2.5 below it.
BARE_SHIFT, BARE_SPREAD = -0.5, 1.0
LEAST_BARE_SPREAD = 0.05  # in logits, of posts that are no better than others
# Seven nodes are exact for polynomials of degree 13, and within .0002 of 60 at a variance of 1.
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)


@dataclass(frozen=True)
class Lists:
    """The lists of one method, by request.

    Attributes:
        probability: our own of the posts of each list, 0 where a list is too short, shape
            (n_requests, k).
        rank: place of each shown post in the method's longer list, -1 if beyond, shape (n_shown,).
        supported: whether the feed showed the post near the request, bool, shape (n_requests, k).
        presence: of the post near the request, shape (n_requests, k).
        post_variance: of the mean log-odds of all lists, by what is not known of their posts
            (`doubt.post_covariance`).
        others: impressions of other requests that match the method's lists.
    """

    probability: np.ndarray
    rank: np.ndarray
    supported: np.ndarray
    presence: np.ndarray
    post_variance: float
    others: Matches = NO_MATCHES


@dataclass(frozen=True)
class HitModel:
    """Hit probabilities of one method's lists, as a function of what was fitted.

    Attributes:
        listed: whether a place is taken, shape (n_requests, k).
        supported: as in `Lists`.
        design: of the calibration, 0 where a list is too short, shape (n_requests, k, 6).
        product: mean over the pairs within lists of the product of their deviations.
        lead: of the listed posts with support, in calibrated log-odds over the impressions.
        bare_lead: of those without.
    """

    listed: np.ndarray
    supported: np.ndarray
    design: np.ndarray
    product: float
    lead: float
    bare_lead: float

    @classmethod
    def of(cls, calibration: Calibration, lists: Lists) -> HitModel:
        """The model of a method's lists."""
        listed, standard = lists.probability > 0, calibration.standard
        mean = standard.of_request[:, None]
        design = standard.design(lists.probability, mean, lists.presence) * listed[:, :, None]
        product = mean_product(standard.deviation(lists.probability, mean), listed)

        def lead(some: np.ndarray) -> float:
            found = design[some] @ calibration.weights
            return float(found.mean()) - calibration.mean if len(found) else 0.0

        leads = (lead(listed & of) for of in (lists.supported, ~lists.supported))
        return cls(listed, lists.supported, design, product, *leads)

    def hit(self, at: np.ndarray, z: float = 0.0) -> np.ndarray:
        """Hit probability of each list, shape (n_requests,).

        Args:
            at: weights of the calibration, variance and shift, shape (8,).
            z: standard deviations from the mean of the shift of posts without support.
        """
        weights, (variance, shift) = at[:-2], at[-2:]
        lead = self.bare_lead
        bare = BARE_SHIFT * max(lead, 0.0) + z * max(LEAST_BARE_SPREAD, BARE_SPREAD * abs(lead))
        moved = self.design @ weights + np.where(self.supported, shift, bare)
        return hit_probability(np.where(self.listed, moved, -np.inf), variance)


def hit_probability(log_odds: np.ndarray, variance: float) -> np.ndarray:
    """Probability of at least one like in each list: 1 - E prod(1 - p), shape (n_requests,).

    E is over a normal shift that all log-odds of a list share, by Gauss-Hermite quadrature. The
    log-odds are stretched by sqrt(1 + pi / 8 * variance), so that each p keeps its mean (MacKay,
    *The evidence framework applied to classification networks*, 1992).

    Args:
        log_odds: of the mean p, -inf for a place that is empty, shape (n_requests, k).
        variance: of the shared shift, in squared logits.
    """
    variance = max(variance, 0.0)
    odds = np.exp(np.ascontiguousarray(log_odds.T) * np.sqrt(1 + np.pi * variance / 8))
    missed = np.zeros(len(log_odds))
    with np.errstate(over="ignore"):  # of a list that is sure to hold a like
        for node, weight in zip(NODES, NODE_WEIGHTS / NODE_WEIGHTS.sum(), strict=True):
            missed += weight / np.prod(1 + odds * np.exp(node * np.sqrt(variance)), axis=0)
    return 1.0 - missed
