"""Latent factors of posts: a variational factorisation of likes beyond the expected ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from feedrank.learning.posts.sample import user_post_matrix
from feedrank.state.history import InteractionSample
from feedrank.state.posts.factors import ridge

# Ranges in which other values change no more than another seed: docs/ranking.md, "Constants".
TEXT_COMPONENTS, NULL_DRAWS, ITERATIONS = 100, 3, 15
LEAST_SPREAD = 0.05  # of log-odds, 5 % of the odds: factors of less hardly move a list
LEAST_VARIANCE = 1e-9  # instead of 0 in a denominator

Decompose = Callable[[csr_matrix], tuple[np.ndarray, np.ndarray]]  # vectors, singular values


@dataclass(frozen=True)
class Surplus:
    """Likes beyond the expected ones.

    Attributes:
        likes: by user and post, shape (n_users, n_posts).
        information: variance of `likes` if expectations are right, same shape.
        null: draws of `likes` if expectations are right (parametric bootstrap), made when asked
            for, and read once.
    """

    likes: csr_matrix
    information: csr_matrix
    null: Iterator[csr_matrix]

    @classmethod
    def of(
        cls, sample: InteractionSample, expected: np.ndarray, n_posts: int, seed: int
    ) -> Surplus:
        """Surplus of impressions with these probabilities of a like, shape (n,)."""
        rng = np.random.default_rng(seed)
        draws = (rng.random(len(expected)) < expected for _ in range(NULL_DRAWS))
        return cls(
            user_post_matrix(sample, sample.liked - expected, n_posts),
            user_post_matrix(sample, expected * (1 - expected), n_posts),
            (user_post_matrix(sample, draw - expected, n_posts) for draw in draws),
        )


def text_components(texts: csr_matrix, seed: int) -> np.ndarray:
    """Left singular vectors of the posts' design of texts and topics, shape (n_posts, d).

    Args:
        texts: shape (n_posts, n_words).
        seed: of the draws.
    """
    n = min(TEXT_COMPONENTS, *texts.shape)
    return np.asarray(randomized_svd(texts.astype(float), n, random_state=seed)[0])


def fit_factors(
    sample: InteractionSample, expected: np.ndarray, text: np.ndarray, most: int, seed: int
) -> np.ndarray:
    """Factors of posts that exceed those of chance, shape (n_posts, d).

    Users' factors have variance 1. A post with few likes has the factors that its text predicts;
    factors in which posts differ by less than `LEAST_SPREAD` are left out.

    Args:
        sample: impressions before the refit.
        expected: probability that each impression is liked, shape (n,).
        text: `text_components` of the posts.
        most: factors at most; 0 for none.
        seed: of the draws.
    """
    n_posts = len(text)
    if not most or not sample.liked.any():
        return np.empty((n_posts, 0))
    surplus = Surplus.of(sample, expected, n_posts, seed)
    post = _first_guess(surplus, text, most, seed)
    if post.shape[1]:
        post = _refined(surplus, text, post)
    return post[:, np.sqrt((post**2).mean(0)) > LEAST_SPREAD]


def _first_guess(surplus: Surplus, text: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Singular vectors of the surplus beyond the largest of null draws, those of texts first.

    The test is parallel analysis (Horn 1965), the scale that of a spiked model. Further
    draws can only raise that edge: they are made while a singular value still exceeds it, so that a
    log without factors mostly needs one.
    """
    of_user, of_post = (np.asarray(surplus.information.sum(a, float)).ravel() for a in (1, 0))
    total = max(of_user.sum(), LEAST_VARIANCE)
    by_user = 1 / np.sqrt(of_user + of_user.mean() + LEAST_VARIANCE)
    by_post = np.sqrt(total) / np.sqrt(of_post + of_post.mean() + LEAST_VARIANCE)
    n_users, n_posts = surplus.likes.shape
    text = text.astype(np.float32)
    margin = 1 + 2 / np.sqrt(n_users)  # about two standard errors of a null singular value

    def in_text(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        product = (matrix @ text).astype(float)
        # Of many users and few components: the same vectors in a hundredth of an SVD's time.
        square, found = np.linalg.eigh(product.T @ product)
        return text @ found[:, ::-1], np.sqrt(np.maximum(square[::-1], 0))

    def anywhere(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        n = min(most, n_users, n_posts)
        _, size, found = randomized_svd(matrix, n, random_state=seed)
        return found.T, size

    def scaled(matrix: csr_matrix) -> csr_matrix:
        of_rows = np.repeat(by_user, np.diff(matrix.indptr)) * by_post[matrix.indices]
        values = matrix.data * of_rows.astype(np.float32)
        return csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)

    first, of_text, of_all = tee(map(scaled, surplus.null), 3)
    chance, likes = next(first), scaled(surplus.likes)
    noise = total * float((chance.data**2).sum(dtype=float)) / (n_users * n_posts)

    def beyond(decompose: Decompose, null: Iterator[csr_matrix]) -> np.ndarray:
        (found, size), edge = decompose(likes), 0.0
        kept = size > edge
        while kept.any() and (draw := next(null, None)) is not None:
            edge = max(edge, float(decompose(draw)[1][0]))
            kept = size > margin * edge
        return found[:, kept] * np.sqrt((size[kept] ** 2 - edge**2 / 2) * n_posts / noise)

    return np.hstack([beyond(in_text, of_text), beyond(anywhere, of_all)])[:, :most]


def _refined(surplus: Surplus, text: np.ndarray, post: np.ndarray) -> np.ndarray:
    """Variational Bayes: normal posteriors of users and of posts in turn, each given the other.

    As in variational matrix factorisation (Lim and Teh 2007). The prior of a post is normal around
    the factors that its text predicts; its precision is fitted, so that a factor without support
    in likes shrinks to 0 (automatic relevance determination).
    """
    n_posts, d = post.shape
    upper = np.triu_indices(d)
    likes, information = surplus.likes, surplus.information
    likes_t, information_t = likes.T.tocsr(), information.T.tocsr()
    prior, precision = post, 1 / np.maximum((post**2).mean(0), LEAST_VARIANCE)
    covariance = np.zeros((n_posts, d, d))

    def sums(
        information: csr_matrix, likes: csr_matrix, mean: np.ndarray, covariance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        second = _second(mean, covariance)[:, upper[0], upper[1]].astype(np.float32)
        of_mean = likes @ mean.astype(np.float32)
        return (information @ second).astype(float), of_mean.astype(float)

    for _ in range(ITERATIONS):
        user, spread = ridge(*sums(information, likes, post, covariance), np.eye(d))
        scale = np.linalg.cholesky(_second(user, spread).mean(0))
        back = np.linalg.inv(scale)
        user, spread, prior = user @ back.T, back @ spread @ back.T, prior @ scale
        products, surpluses = sums(information_t, likes_t, user, spread)
        post, covariance = ridge(products, surpluses + prior * precision, np.diag(precision))
        own = np.einsum("nii->i", covariance) / n_posts
        weight = text.T @ post
        noise = ((post - text @ weight) ** 2).mean(0) + own
        signal = np.maximum((weight**2).mean(0), LEAST_VARIANCE)
        prior = text @ (weight * signal / (signal + noise))
        precision = 1 / np.maximum(((post - prior) ** 2).mean(0) + own, LEAST_VARIANCE)
    return post


def _second(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Second moments, shape (n, d, d)."""
    return mean[:, :, None] * mean[:, None, :] + covariance
