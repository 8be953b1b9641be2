"""Ranking metrics of the literature, beside the hit rates: of the posts that the feed did show.

Over requests with more than k posts shown, of which at least one was liked, with the best k of the
shown posts by a method:

    ndcg@k      sum over liked places j = 1..k of 1 / log2(j + 1), over that of an ideal order
                (Jarvelin and Kekalainen, *Cumulated gain-based evaluation of IR techniques*, 2002)
    mrr@k       1 / place of the first liked post, 0 if none is among the k
    recall@k    share of the liked posts that are among the k
    session_auc mean over requests of the chance that a liked post scores above one that was not
                (ours alone: the others' scores are not kept), ties count half

and of the k best of the whole catalogue, over all requests:

    novelty@k   mean of -log2 of the post's share of the likes in these requests, each post counted
                once more
                (Zhou et al., *Solving the apparent diversity-accuracy dilemma*, 2010)
    coverage@k  share of the catalogue that any list holds; a count of these lists, not a mean, so
                it has no interval, and it grows with the number of requests
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.stats.intervals import estimate, rounded
from feedrank.validation.hitrate.scores import Scores
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.replay.requests import are_liked

Entries = dict[str, "float | None"]


def ranking_metrics(replayed: ReplayResult, scores: Scores, n_posts: int) -> dict[str, Entries]:
    """The metrics of each method with their intervals, as entries of `details.json`.

    Args:
        replayed: requests of all folds.
        scores: of the headline's k, whose resamples the intervals share.
        n_posts: of the catalogue.
    """
    k, found = scores.k, {}
    n_likes = np.bincount(replayed.shown_post, replayed.shown_liked, n_posts)
    bits = -np.log2((n_likes + 1) / (n_likes.sum() + n_posts))
    for m, name in enumerate(scores.methods):
        values = dict(zip(("ndcg", "mrr", "recall"), _of_shown(replayed, m, k), strict=True))
        values["novelty"] = _mean_of_lists(bits, replayed.top[m, :, :k])
        found[name] = {
            key: value
            for metric, of_request in values.items()
            for key, value in estimate(of_request, scores.weights).entries(f"{metric}@{k}").items()
        }
        top = replayed.top[m, :, :k]
        found[name][f"coverage@{k}"] = rounded(len(np.unique(top[top >= 0])) / max(n_posts, 1))
    auc = estimate(_session_auc(replayed), scores.weights)
    found[OURS] |= auc.entries("session_auc")
    return found


def _of_shown(replayed: ReplayResult, m: int, k: int) -> tuple[np.ndarray, ...]:
    """NDCG, reciprocal rank and recall of a method's order of the shown posts, by request."""
    n_requests = len(replayed.user)
    n_liked = np.bincount(replayed.shown_request, replayed.shown_liked, n_requests)
    is_judged = (n_liked > 0) & np.isfinite(replayed.hit_shown[m, :, k - 1])
    gain, ideal = 1 / np.log2(np.arange(2, k + 2)), np.arange(1, k + 1)
    outcome = (replayed.shown_request, replayed.shown_post, replayed.shown_liked)
    liked = are_liked(replayed.of_shown[m, :, :k], *outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.cumsum(gain)[np.minimum(n_liked, k).astype(int) - 1]
        first = np.where(liked.any(axis=1), 1 / ideal[liked.argmax(axis=1)], 0.0)
        values = (liked @ gain / best, first, liked.sum(axis=1) / n_liked)
    return tuple(np.where(is_judged, value, np.nan) for value in values)


def _mean_of_lists(value: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Mean value of the posts of each list, NaN for an empty one, shape (n_requests,)."""
    is_post = lists >= 0
    with np.errstate(invalid="ignore"):
        return np.where(is_post, value[lists], 0).sum(axis=1) / is_post.sum(axis=1)


def _session_auc(replayed: ReplayResult) -> np.ndarray:
    """AUC of our probabilities within each request, NaN where all or none were liked."""
    request, liked, n = replayed.shown_request, replayed.shown_liked, len(replayed.user)
    n_shown, n_liked = (np.bincount(request, weight, n) for weight in (None, liked))
    rank = pd.Series(replayed.shown_probability).groupby(request).rank().to_numpy()
    above = np.bincount(request, np.where(liked, rank, 0.0), n) - n_liked * (n_liked + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / (n_liked * (n_shown - n_liked))
