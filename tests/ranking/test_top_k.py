from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedrank.ranking.top_k import best_rows


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(0, 40))
def test_the_best_rows_are_those_of_a_whole_sort_ties_by_row(score: list[int], k: int) -> None:
    expected = sorted(range(len(score)), key=lambda row: (-score[row], row))[:k]
    assert best_rows(np.array(score, dtype=float), k).tolist() == expected
