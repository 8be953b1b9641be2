"""How factors are found: a variational factorisation of likes beyond the expected ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.utils.extmath import randomized_svd

from feedrank.learning.posts.sample import user_post_matrix
from feedrank.state.factors import ridge
from feedrank.state.history import InteractionSample

TEXT_DIRECTIONS = 100
CHANCE_DRAWS = 3
ITERATIONS = 15
LEAST_SPREAD = 0.05  # of log-odds: less hardly moves a list
TINY = 1e-9


@dataclass(frozen=True)
class Surplus:
    """Likes beyond the expected ones.

    Attributes:
        likes: by user and post, shape (n_users, n_posts).
        information: variance of the same if all is chance, same shape.
        chance: draws of the likes if all is chance.
    """

    likes: csr_matrix
    information: csr_matrix
    chance: list[csr_matrix]

    @classmethod
    def of(
        cls, sample: InteractionSample, expected: np.ndarray, n_posts: int, seed: int
    ) -> Surplus:
        """Of impressions that are expected to be liked with these probabilities, shape (n,)."""
        rng = np.random.default_rng(seed)
        draws = (rng.random(len(expected)) < expected for _ in range(CHANCE_DRAWS))
        return cls(
            user_post_matrix(sample, sample.liked - expected, n_posts),
            user_post_matrix(sample, expected * (1 - expected), n_posts),
            [user_post_matrix(sample, draw - expected, n_posts) for draw in draws],
        )


def fit_factors(
    sample: InteractionSample, expected: np.ndarray, texts: csr_matrix, most: int, seed: int
) -> np.ndarray:
    """Positions of posts in the directions that are no chance, shape (n_posts, d).

    Users are spread with variance 1 in each direction. A post with few likes stands where its
    text says; directions in which posts hardly differ are left out.

    Args:
        sample: before the refit.
        expected: probability that each impression is liked, shape (n,).
        texts: what each post's text and topic say, shape (n_posts, n_words).
        most: directions at most; 0 asks for none.
        seed: of the draws.
    """
    n_posts = texts.shape[0]
    if not most or not sample.liked.any():
        return np.empty((n_posts, 0))
    surplus = Surplus.of(sample, expected, n_posts, seed)
    n_texts = min(TEXT_DIRECTIONS, *texts.shape)
    text = randomized_svd(texts.astype(float), n_texts, random_state=seed)[0]
    post = _first_guess(surplus, text, most, seed)
    if post.shape[1]:
        post = _refined(surplus, text, post)
    return post[:, np.sqrt((post**2).mean(0)) > LEAST_SPREAD]


def _first_guess(surplus: Surplus, text: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Singular vectors of the surplus that chance does not reach, those of texts first."""
    of_user, of_post = (np.asarray(surplus.information.sum(a)).ravel() for a in (1, 0))
    total = max(of_user.sum(), TINY)
    by_user = diags(1 / np.sqrt(of_user + of_user.mean() + TINY))
    by_post = diags(np.sqrt(total) / np.sqrt(of_post + of_post.mean() + TINY))
    likes, *chance = (by_user @ m @ by_post for m in (surplus.likes, *surplus.chance))
    n_users, n_posts = likes.shape
    noise = total * chance[0].multiply(chance[0]).mean()

    margin = 1 + 2 / np.sqrt(n_users)  # two deviations of what chance alone would scatter

    def beyond(found: np.ndarray, size: np.ndarray, edge: float) -> np.ndarray:
        kept = size > margin * edge
        return found[:, kept] * np.sqrt((size[kept] ** 2 - edge**2 / 2) * n_posts / noise)

    def in_text(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        _, size, found = np.linalg.svd(matrix @ text, full_matrices=False)
        return text @ found.T, size

    def anywhere(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        n = min(most, n_users, n_posts)
        _, size, found = randomized_svd(matrix, n, random_state=seed)
        return found.T, size

    parts = []
    for way in (in_text, anywhere):
        edge = max(float(way(draw)[1][0]) for draw in chance)
        parts.append(beyond(*way(likes), edge))
    return np.hstack(parts)[:, :most]


def _refined(surplus: Surplus, text: np.ndarray, post: np.ndarray) -> np.ndarray:
    """Variational Bayes: normal posteriors of users and of posts in turn, each given the other.

    The prior of a post is normal around what its text says; its spread is learned, so that a
    direction that likes do not support shrinks away.
    """
    n_posts, d = post.shape
    upper = np.triu_indices(d)
    likes, information = surplus.likes, surplus.information
    likes_t, information_t = likes.T.tocsr(), information.T.tocsr()
    prior, precision = post, 1 / np.maximum((post**2).mean(0), TINY)
    covariance = np.zeros((n_posts, d, d))
    for _ in range(ITERATIONS):
        products = information @ _second(post, covariance)[:, upper[0], upper[1]]
        user, spread = ridge(products, likes @ post, np.eye(d))
        scale = np.linalg.cholesky(_second(user, spread).mean(0))
        back = np.linalg.inv(scale)
        user, spread, prior = user @ back.T, back @ spread @ back.T, prior @ scale
        products = information_t @ _second(user, spread)[:, upper[0], upper[1]]
        post, covariance = ridge(products, likes_t @ user + prior * precision, np.diag(precision))
        own = np.einsum("nii->i", covariance) / n_posts
        weight = text.T @ post
        noise = ((post - text @ weight) ** 2).mean(0) + own
        signal = np.maximum((weight**2).mean(0), TINY)
        prior = text @ (weight * signal / (signal + noise))
        precision = 1 / np.maximum(((post - prior) ** 2).mean(0) + own, TINY)
    return post


def _second(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Second moments, shape (n, d, d)."""
    return mean[:, :, None] * mean[:, None, :] + covariance
