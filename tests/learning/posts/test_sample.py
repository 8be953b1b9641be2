from __future__ import annotations

import numpy as np

from feedrank.learning.posts.sample import user_post_matrix
from tests.support.network.taste_samples import likes


def test_products_of_a_matrix_add_up_the_impressions_of_each_pair() -> None:
    sample = likes(np.zeros((7, 5)), 40, 0.2, seed=1)  # 40 impressions of 5 posts: all repeat
    sample = sample[sample.user != 3]  # a user without impressions
    value, dense = np.random.default_rng(2).random(len(sample)), np.zeros((7, 5))
    np.add.at(dense, (sample.user, sample.post), value)
    matrix = user_post_matrix(sample, value, 5)
    assert matrix.dtype == np.float32
    of_posts, of_users = np.eye(5, dtype=np.float32), np.eye(7, dtype=np.float32)
    np.testing.assert_allclose(matrix @ of_posts, dense, rtol=1e-6)
    np.testing.assert_allclose(matrix.T.tocsr() @ of_users, dense.T, rtol=1e-6)
