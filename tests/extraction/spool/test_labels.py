from __future__ import annotations

import numpy as np
import pytest

from feedrank.extraction.spool.labels import Labelled, labelled
from feedrank.extraction.spool.packing import Packing

PACKING = Packing.fitting(days=1, users_a_bucket=3, n_posts=4)
Row = tuple[int, int, int, int]  # at, user, post, bit


def _labelled(rows: list[Row], window: int | None) -> tuple[list[Row], Labelled]:
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    found = labelled(np.sort(PACKING.pack(*columns)), PACKING, window)
    rows_of = PACKING.unpack(found.impressions, 0, 0)
    columns = np.stack([rows_of.at, rows_of.user, rows_of.post, rows_of.liked], axis=1)
    return [tuple(row) for row in columns.tolist()], found


def _reference(rows: list[Row], window: int) -> list[Row]:
    liked = dict.fromkeys(sorted({row[:3] for row in rows if not row[3]}), 0)
    for at, *pair, is_like in rows:
        before = [shown for shown in liked if [*shown[1:]] == pair and shown[0] <= at]
        if is_like and before and at - max(before)[0] < window:
            liked[max(before)] = 1
    return [(*shown, label) for shown, label in liked.items()]


@pytest.mark.parametrize("window", [1, 10, 300])
@pytest.mark.parametrize("seed", range(5))
def test_a_like_is_of_the_last_impression_of_its_pair_within_the_window(
    window: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = [tuple(row) for row in draw.integers(0, [200, 3, 4, 2], (300, 4)).tolist()]
    found, _ = _labelled(rows, window)
    assert found == _reference(rows, window)
    assert 0 < sum(label for *_, label in found) < len(found)


def test_a_like_before_or_long_after_an_impression_says_nothing_of_it() -> None:
    rows = [(9, 1, 1, 1), (10, 1, 1, 0), (20, 1, 1, 1), (10, 2, 1, 0), (19, 2, 1, 1)]
    found, counts = _labelled(rows, 10)
    assert found == [(10, 1, 1, 0), (10, 2, 1, 1)]
    assert (counts.n_stray, len(counts.likes)) == (2, 3)


@pytest.mark.parametrize("window", [None, 10])
def test_a_repeated_impression_is_counted_once(window: int | None) -> None:
    rows = [(10, 1, 1, 0), (10, 1, 1, 0), (10, 1, 1, 1), (11, 1, 1, 0)]
    found, counts = _labelled(rows, window)
    assert found == [(10, 1, 1, 1), (11, 1, 1, 0)]
    assert len(counts.repeats) + len(counts.likes) == 2


def test_no_rows_have_no_impressions() -> None:
    assert _labelled([], 10)[0] == _labelled([], None)[0] == []
