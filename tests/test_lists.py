"""The lists that `benchmarks.lists` holds against the five most likely."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit, logit

from benchmarks.diverse import capped, diversified, of_one_group

P = np.array([0.30, 0.29, 0.28, 0.27, 0.26, 0.25])
GROUP = np.array([0, 0, 0, 1, 1, 2])


def test_a_cap_keeps_the_best_of_each_group() -> None:
    assert capped(GROUP, 4, 2).tolist() == [0, 1, 3, 4]
    assert capped(GROUP, 3, 1).tolist() == [0, 3, 5]
    assert capped(GROUP, 5, 3).tolist() == [0, 1, 2, 3, 4]


def test_a_cap_gives_way_where_there_are_too_few_groups() -> None:
    assert capped(GROUP, 5, 1).tolist() == [0, 3, 5, 1, 2]


def test_a_list_of_one_group_fills_up_with_others() -> None:
    assert of_one_group(np.array([1, 0, 1, 1, 0]), 4).tolist() == [0, 2, 3, 1]


def test_a_taste_that_is_known_leaves_the_most_likely() -> None:
    assert diversified(P, GROUP, 4, 0.3, np.zeros(3)).tolist() == [0, 1, 2, 3]


def test_a_taste_that_is_not_known_spreads_the_list() -> None:
    found = diversified(P, GROUP, 3, 0.0, np.full(3, 4.0))
    assert sorted(GROUP[found].tolist()) == [0, 1, 2]


def _chance_of_a_like(places: tuple[int, ...], of_user: float, of_group: np.ndarray) -> float:
    """By plain simulation of a user's level and tastes."""
    rng = np.random.default_rng(1)
    user = rng.normal(0, np.sqrt(of_user), 40_000)
    taste = rng.normal(0, np.sqrt(of_group), (40_000, len(of_group)))
    missed = np.ones(40_000)
    for place in places:
        stretch = np.sqrt(1 + np.pi * (of_user + of_group[GROUP[place]]) / 8)
        missed *= expit(-(logit(P[place]) * stretch + user + taste[:, GROUP[place]]))
    return 1 - float(missed.mean())


@pytest.mark.parametrize("of_group", [0.05, 0.5, 1.0])
def test_the_list_is_as_good_as_the_best_of_all_lists(of_group: float) -> None:
    variance = np.array([of_group, of_group / 2, of_group * 2])
    found = diversified(P, GROUP, 3, 0.1, variance)
    best = max(_chance_of_a_like(some, 0.1, variance) for some in combinations(range(len(P)), 3))
    assert _chance_of_a_like(tuple(found.tolist()), 0.1, variance) > best - 0.001
