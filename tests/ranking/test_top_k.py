from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedrank.ranking.top_k import best_rows, kth_highest


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 40))
def test_the_best_rows_are_those_of_a_whole_sort_ties_by_row(score: list[int], k: int) -> None:
    expected = sorted(range(len(score)), key=lambda row: (-score[row], row))[:k]
    assert best_rows(np.array(score, dtype=float), k).tolist() == expected


@pytest.mark.parametrize("n", [5, 63, 64, 640, 7023])
@pytest.mark.parametrize("k", [1, 5, 100])
def test_the_kth_highest_is_that_of_a_whole_sort(n: int, k: int) -> None:
    rng = np.random.default_rng(n + k)
    for score in (rng.normal(size=n), np.arange(n) // 70.0, np.zeros(n)):
        if k <= n:
            assert kth_highest(score.astype(np.float32), k) == np.sort(score.astype(np.float32))[-k]
