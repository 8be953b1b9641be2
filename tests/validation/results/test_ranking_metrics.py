"""Ranking metrics against scikit-learn's and against plain counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.results.ranking_metrics import ranking_metrics
from tests.support.simulated_logs import DEFAULTS

N, K, N_SHOWN, N_POSTS = 120, 5, 12, 40
NAMES = (OURS, "other")
VALIDATE = replace(DEFAULTS.validate, bootstrap=200)


def _replayed() -> ReplayResult:
    """Requests of 40 users; ours orders the shown posts by its probability, the other at random."""
    rng = np.random.default_rng(2)
    post = np.sort(np.argsort(rng.random((N, N_POSTS)), axis=1)[:, :N_SHOWN], axis=1)
    p = rng.random((N, N_SHOWN)).round(1) / 2  # with ties
    liked = rng.random((N, N_SHOWN)) < p
    liked[:7] = False
    by_ours = np.take_along_axis(post, np.argsort(-p, axis=1, kind="stable"), axis=1)[:, :K]
    by_other = rng.permuted(post, axis=1)[:, :K]
    of_shown = np.stack([by_ours, by_other]).astype(np.int32)
    top = np.argsort(rng.random((2, N, N_POSTS)), axis=2)[:, :, :K].astype(np.int32)
    hits = np.zeros((2, N, K))
    hits[:, 7:9] = np.nan  # too few were shown
    return ReplayResult(
        np.arange(N) // 3, np.arange(N), top, np.full(top.shape, 0.2), top >= 0,
        np.zeros(top.shape), np.zeros(top.shape), of_shown,
        hits, np.zeros_like(hits), np.full((2, N * N_SHOWN), -1, np.int32),
        post.ravel(), np.ones(post.size), np.zeros(post.size), p.ravel(),
        liked.ravel(), np.repeat(np.arange(N), N_SHOWN),
    )  # fmt: skip


@pytest.fixture(scope="module")
def replayed() -> ReplayResult:
    return _replayed()


@pytest.fixture(scope="module")
def found(replayed: ReplayResult) -> dict[str, dict[str, float | None]]:
    return ranking_metrics(replayed, score(replayed, NAMES, K, VALIDATE), N_POSTS)


def _judged(replayed: ReplayResult) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Posts and likes of the requests with a like and more than k posts shown, and their number."""
    post, liked = (a.reshape(N, N_SHOWN) for a in (replayed.shown_post, replayed.shown_liked))
    return [(post[i], liked[i], i) for i in range(9, N) if liked[i].any()]


@pytest.mark.parametrize("m", [0, 1])
def test_they_are_what_the_field_calls_so(
    replayed: ReplayResult, found: dict[str, dict[str, float]], m: int
) -> None:
    ndcg, mrr, recall = [], [], []
    for post, liked, i in _judged(replayed):
        listed = replayed.of_shown[m, i]
        place = {p: K - j for j, p in enumerate(listed.tolist())}
        ndcg.append(ndcg_score([liked], [[place.get(p, 0) for p in post.tolist()]], k=K,
                               ignore_ties=True))  # fmt: skip
        is_hit = np.isin(listed, post[liked])
        mrr.append(1 / (1 + is_hit.argmax()) if is_hit.any() else 0.0)
        recall.append(is_hit.sum() / liked.sum())
    of = found[NAMES[m]]
    for name, values in (("ndcg@5", ndcg), ("mrr@5", mrr), ("recall@5", recall)):
        assert of[name] == pytest.approx(np.mean(values), abs=1e-5), name
        assert of[f"{name}_low"] < of[name] < of[f"{name}_high"]


def test_the_auc_is_within_requests(
    replayed: ReplayResult, found: dict[str, dict[str, float]]
) -> None:
    p = replayed.shown_probability.reshape(N, N_SHOWN)
    liked = replayed.shown_liked.reshape(N, N_SHOWN)
    values = [roc_auc_score(liked[i], p[i]) for i in range(N) if 0 < liked[i].sum() < N_SHOWN]
    assert found[OURS]["session_auc"] == pytest.approx(np.mean(values), abs=1e-5)
    assert "session_auc" not in found["other"]


def test_coverage_and_novelty_are_of_the_lists(
    replayed: ReplayResult, found: dict[str, dict[str, float]]
) -> None:
    top = replayed.top[1]
    assert found["other"]["coverage@5"] == pytest.approx(len(set(top.ravel().tolist())) / N_POSTS)
    n = np.bincount(replayed.shown_post[replayed.shown_liked], minlength=N_POSTS) + 1
    assert found["other"]["novelty@5"] == pytest.approx(
        np.mean(-np.log2(n[top] / n.sum())), abs=1e-5
    )
