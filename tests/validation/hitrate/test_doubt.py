"""What no request tells, and how far two methods share it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.validation.hitrate.doubt import QUALITY_FACTOR, post_covariance, shared_normals
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD
from tests.support.simulated_logs import DEFAULTS

VALIDATE = replace(DEFAULTS.validate, bootstrap=20_000)


def test_what_is_not_known_of_equal_lists_is_the_same_however_short_they_are() -> None:
    lists = np.tile(np.array([3, 1, -1, -1, -1]), (3, 10, 1))
    lists[2, :, 1:3] = [2, 4]  # one of its three posts is also on the others' lists of two
    normal = shared_normals(lists, np.zeros(lists.shape), VALIDATE)
    np.testing.assert_allclose(normal[0], normal[1])
    assert np.corrcoef(normal)[0, 2] == pytest.approx(1 / np.sqrt(6), abs=0.02)
    empty = shared_normals(np.full((2, 10, 5), -1), np.zeros((2, 10, 5)), VALIDATE)
    assert np.isfinite(empty).all()


def test_the_more_posts_share_the_places_of_lists_the_less_their_errors_matter() -> None:
    alike = np.tile(np.arange(5), (1, 20, 1))  # five posts for everybody
    apart = np.arange(100).reshape(1, 20, 5)
    one, other = (post_covariance(lists, np.full(lists.shape, 0.2)) for lists in (alike, apart))
    assert one[0, 0] == pytest.approx(QUALITY_FACTOR * 0.2**2 / 5)
    assert other[0, 0] == pytest.approx(QUALITY_FACTOR * 0.2**2 / 100)


def test_methods_share_the_errors_of_posts_that_they_show_to_different_users() -> None:
    lists = np.array([[[0, 1], [2, 3]], [[2, 3], [0, 1]], [[4, 5], [6, 7]]])
    covariance = post_covariance(lists, np.full(lists.shape, 0.2))
    np.testing.assert_allclose(covariance[0], [0.03, 0.03, 0])
    normal = np.corrcoef(shared_normals(lists, np.full(lists.shape, 0.2), VALIDATE))
    assert normal[0, 1] == pytest.approx(0.03 / (0.03 + SHIFT_SPREAD**2), abs=0.02)
    assert normal[0, 2] == pytest.approx(0, abs=0.02)


def test_posts_that_are_known_well_are_hardly_in_doubt() -> None:
    lists = np.tile(np.arange(5), (1, 20, 1))
    spread = np.where(lists == 4, 0.5, 0.01)  # four old posts and a new one
    variance = QUALITY_FACTOR * (0.5**2 + 4 * 0.01**2) / 25
    assert post_covariance(lists, spread)[0, 0] == pytest.approx(variance)
