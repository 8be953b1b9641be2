"""Refits that found tastes are fitted again from more impressions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from feedrank.learning.fit import fit_store
from feedrank.learning.posts import larger_sample
from feedrank.learning.posts.fit import FittedPosts
from feedrank.state.counts.tally import Tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.factors import Factors
from feedrank.state.posts.refit import Refit
from tests.support.simulated_logs import Learned, simulated, tasteful, workers


def _refits(of: Learned) -> tuple[Refit, ...]:
    with workers(1):
        return fit_store(of.log, of.params).fitted.refits


def _are_equal(one: Factors, other: Factors) -> bool:
    return one.post.shape == other.post.shape and bool((one.post == other.post).all())


def test_the_larger_sample_tells_what_a_refit_of_tastes_is(monkeypatch: pytest.MonkeyPatch) -> None:
    of, n = tasteful(), tasteful().log.meta.n_impressions
    of_all = of.store.fitted.refits
    monkeypatch.setattr(larger_sample, "FIRST", n // 2)
    monkeypatch.setattr(larger_sample, "LARGER", n // 2)
    of_half = _refits(of)
    monkeypatch.setattr(larger_sample, "LARGER", n)
    found = _refits(of)
    assert of_half[-1].factors.n_factors > 0
    assert not _are_equal(of_half[-1].factors, of_all[-1].factors)
    assert _are_equal(found[-1].factors, of_all[-1].factors)
    np.testing.assert_array_equal(found[-1].clusters.log_gate, of_all[-1].clusters.log_gate)
    for one, half in zip(found, of_half, strict=True):
        if not half.factors.n_factors and half.clusters.taste_strength is None:
            assert _are_equal(one.factors, half.factors)  # nothing was found: not looked at again


def test_a_log_without_tastes_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    of = simulated()
    assert not any(r.factors.n_factors for r in of.store.fitted.refits)
    monkeypatch.setattr(larger_sample, "FIRST", of.log.meta.n_impressions // 2)
    monkeypatch.setattr(larger_sample, "fit_posts", None)  # would fail
    _refits(of)


def test_each_refit_is_fitted_again_with_the_segments_that_it_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of, asked = tasteful(), []
    fitted = of.store.fitted
    firsts = [fitted.refits[-1].first_step - 1, fitted.refits[-1].first_step]
    posts = [(fitted.refits[-1].clusters, fitted.refits[-1].factors)] * 2
    before = [of.store.shared.by_post.before(first).reshape(1, -1) for first in firsts]
    segments = [np.zeros(300, np.int64), np.arange(300) % 3]

    def fit_posts(counts: Tally, sample: InteractionSample, *_: object) -> list[FittedPosts]:
        asked.append((sample.segment.tolist(), int(sample.step.max())))
        return posts[:1]

    monkeypatch.setattr(larger_sample, "fit_posts", fit_posts)
    design, history = (csr_matrix((250, 1)), np.zeros((250, 1))), of.store.history
    with workers(1):
        again = larger_sample.fitted_again(
            posts, [1, 1], firsts, before, history, segments, design, of.params.features
        )
    assert len(again) == 2
    assert asked == [(s.tolist(), first - 1) for s, first in zip(segments, firsts, strict=True)]
