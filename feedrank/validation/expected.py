"""`hitrate@k/expected`: had the lists been shown, how often would one of their posts be liked?

The log holds what the feed showed, not what we would have shown. But some impressions happen to
match: the post stands high in the list that a method would have made at that moment. On those the
method's posts can be judged by real likes that no model has seen, so that a model that believes
too much of its favourites (the best of thousands are best partly by luck) is found out:

    logit P(like) = logit(our probability) + shift(method)
    shift          fitted on the method's matching impressions, each weighted by how well it matches
    expected       mean over requests of 1 - prod over the list (1 - P(like))

What is left: one shift does not undo all of a belief that grows with the score, so that the
estimate leans high; and posts that the feed shows more often count more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from feedrank.validation.metrics import Estimate, expected_hit_at_k

SHIFT_SPREAD = 1.0  # a shift beyond this, in logits, needs strong evidence
NEWTON_STEPS = 25


@dataclass(frozen=True)
class Expected:
    """The estimate of one method.

    Attributes:
        estimate: mean over requests, with its interval.
        shift: by which our log-odds are corrected on the method's matching impressions.
        n_matching: impressions that match.
        n_effective: of them, by their weights: (sum of w)^2 / sum of w^2.
        draws: the mean in each resample, for paired differences, shape (n_resamples,).
    """

    estimate: Estimate
    shift: float
    n_matching: int
    n_effective: float
    draws: np.ndarray


def matching_weight(rank: np.ndarray, k: int) -> np.ndarray:
    """How well a place matches a list of k: 1 within it, falling as k over place beyond it."""
    return np.where(rank < 0, 0.0, np.minimum(1.0, k / np.maximum(rank + 1.0, 1.0)))


def expected_hitrate(
    probability: np.ndarray,
    rank: np.ndarray,
    shown_probability: np.ndarray,
    shown_liked: np.ndarray,
    shown_request: np.ndarray,
    weights: np.ndarray,
) -> Expected:
    """The estimate of one method; arrays as in `replay.Judged`, for that method.

    Args:
        probability: of the posts of each list, shape (n_requests, k).
        rank: place of each shown post in the method's list, -1 if beyond, shape (n_shown,).
        shown_probability: shape (n_shown,).
        shown_liked: shape (n_shown,).
        shown_request: shape (n_shown,).
        weights: bootstrap over users, shape (n_resamples, n_requests).
    """
    k = probability.shape[1]
    matching = np.flatnonzero(rank >= 0)
    weight = matching_weight(rank[matching], k)
    score = logit(np.clip(shown_probability[matching], 1e-6, 1 - 1e-6))
    liked = shown_liked[matching].astype(np.float64)
    shift = _shift(score, liked, weight)
    p = expit(score + shift)
    n_requests = len(probability)
    of = shown_request[matching]
    # One Newton step from the overall shift gives the shift of every resample at once.
    slope = np.bincount(of, weights=weight * (liked - p), minlength=n_requests)
    bend = np.bincount(of, weights=weight * p * (1 - p), minlength=n_requests)
    prior = SHIFT_SPREAD**-2
    drawn = shift + (weights @ slope - prior * shift) / (weights @ bend + prior)
    listed = logit(np.clip(probability, 1e-6, 1 - 1e-6))
    hit = expected_hit_at_k(expit(listed + shift))
    steepness = (1 - hit) * expit(listed + shift).sum(axis=1)
    total = np.maximum(weights.sum(1), 1)
    draws = (weights @ hit + (drawn - shift) * (weights @ steepness)) / total
    low, high = np.quantile(draws, [0.025, 0.975])
    n_effective = weight.sum() ** 2 / max(np.sum(weight**2), 1e-12)
    value = float(hit.mean()) if n_requests else float("nan")
    estimate = Estimate(value, float(low), float(high), n_requests)
    return Expected(estimate, shift, len(matching), float(n_effective), draws)


def _shift(score: np.ndarray, liked: np.ndarray, weight: np.ndarray) -> float:
    """Weighted maximum likelihood of a shift of the log-odds, drawn to 0."""
    shift = 0.0
    for _ in range(NEWTON_STEPS):
        p = expit(score + shift)
        slope = np.sum(weight * (liked - p)) - shift / SHIFT_SPREAD**2
        step = slope / (np.sum(weight * p * (1 - p)) + SHIFT_SPREAD**-2)
        shift += float(np.clip(step, -1, 1))
    return shift
