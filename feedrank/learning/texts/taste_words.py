"""Finding taste words: words whose posts some users like more than others, at a refit.

If users differ in a word, the likes of its posts, given all likes of each user, vary more between
users than binomial counts. The score test of that overdispersion (Dean 1992)
takes sums of squares alone, so that thousands of words cost a few products of sparse matrices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.special import gammainc, gammaincc

from feedrank.learning.posts.fit import FittedPosts
from feedrank.learning.posts.sample import expected_likes, user_post_matrix
from feedrank.learning.posts.tastes import taste_ratios
from feedrank.learning.texts.design import n_fixed_columns
from feedrank.state.counts.tally import Tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.clusters import post_state
from feedrank.state.posts.taste_words import (
    LEAST_STRENGTH,
    MOST_STRENGTH,
    TasteWords,
    words_of_posts,
)
from feedrank.stats.shrinkage import HIGHEST_RATE, fit_strength, ratio

# Words of all impressions of a sample, and its users, at most: a second of a processor.
MOST_CELLS, MOST_USERS = 20_000_000, 20_000
USERS_AT_ONCE = 500  # of whom sums by all words are held: of 5,000 words 10 MB each
MOST_WORDS = 511  # users of a bucket have two sums a word: at 20,000 users, 160 MB
# Share of the words found that chance may have found (Benjamini and Hochberg 1995), and of logs
# without tastes that find any (Simes 1986).
FALSE_DISCOVERIES, FALSE_ALARMS = 0.5, 0.05
# Of the time, in which a user's like rate may differ: of twenty, drift within each is left.
PERIODS = 8
LEAST_EXPECTED = 1e-9  # instead of 0 in a denominator


@dataclass(frozen=True)
class TextWords:
    """Words that may tell tastes.

    Attributes:
        has: 1 where a post has a word, float32, shape (n_posts, n_words).
        column: of each word in the design of a text, shape (n_words,).
        topic: code of each post's topic, shape (n_posts,).
    """

    has: csr_matrix
    column: np.ndarray
    topic: np.ndarray

    @classmethod
    def of(cls, texts: csr_matrix, n_words: int, topic: np.ndarray) -> TextWords:
        """Words of `text_design`, of whose columns `n_words` are words."""
        begin = n_fixed_columns(texts)
        has = texts[:, begin : begin + n_words].astype(bool).astype(np.float32)
        return cls(has, np.arange(begin, begin + n_words), topic)


def find_taste_words(
    words: TextWords, posts: FittedPosts, counts: Tally, sample: InteractionSample
) -> TasteWords:
    """Taste words of a refit, from impressions before it.

    Args:
        words: of the posts' texts.
        posts: clusters and factors of the refit.
        counts: impressions and likes before it, shape (n_segments, n_posts).
        sample: impressions of some users before it.
    """
    clusters, _ = posts
    sample = _thinned(sample, words.has)
    expected = expected_likes(sample, post_state(clusters, counts).rate)
    if clusters.taste_strength is not None:
        expected *= taste_ratios(sample, expected, clusters.cluster, clusters.taste_strength)
    expected *= _ratios(sample, expected, words.topic[sample.post])
    # Where a word's posts live for a while, a time in which a user likes more is no taste.
    end = int(sample.step.max(initial=0)) + 1
    expected *= _ratios(sample, expected, sample.step.astype(np.int64) * PERIODS // end)
    pairs = _pairs(sample, np.minimum(expected, HIGHEST_RATE), len(words.topic))
    found, strength = tastes_of(*pairs, words.has)
    has = words.has[:, found].tocoo()
    order = np.lexsort((has.col, has.row))
    of_post = words_of_posts(has.row[order], has.col[order], has.shape)
    return TasteWords(of_post, strength, words.column[found])


def _thinned(sample: InteractionSample, has: csr_matrix) -> InteractionSample:
    """Every so many users, so that all their posts have about `MOST_CELLS` words at most."""
    n_cells = int(np.diff(has.indptr)[sample.post].sum())
    apart = max(1, -(-n_cells // MOST_CELLS), -(-sample.n_users // MOST_USERS))
    return sample if apart == 1 else sample[sample.user % apart == 0]


def _ratios(sample: InteractionSample, expected: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Posterior ratio of each impression's user in its part, such as a topic, shape (n,)."""
    # Part by part, so that strengths are fitted to some users of each.
    cell = part.astype(np.int64) * sample.n_users + sample.user
    _, cell = np.unique(cell, return_inverse=True)
    shown, liked, total = (np.bincount(cell, x) for x in (None, sample.liked, expected))
    return np.asarray(ratio(liked, total, fit_strength(liked, shown, total))[cell])


def _pairs(
    sample: InteractionSample, expected: np.ndarray, n_posts: int
) -> tuple[InteractionSample, np.ndarray]:
    """Pairs of user and post, whether any impression is liked, and the probability of that.

    A post that a user likes again and again is no taste of its words.
    """
    pair = sample.user.astype(np.int64) * n_posts + sample.post
    _, first, pair = np.unique(pair, return_index=True, return_inverse=True)
    is_liked = np.bincount(pair, sample.liked) > 0
    chance = -np.expm1(np.bincount(pair, np.log1p(-expected)))
    return replace(sample[first], liked=is_liked), chance


def tastes_of(
    sample: InteractionSample, expected: np.ndarray, has: csr_matrix
) -> tuple[np.ndarray, np.ndarray]:
    """Words in which users differ beyond chance, the surest first, and users' prior strength.

    Args:
        sample: impressions of some users.
        expected: probability that each is liked, whatever its words, shape (n,).
        has: 1 where a post has a word, shape (n_posts, n_words).

    Returns:
        Columns of `has`, shape (n_found,), and strengths in expected likes, same shape.
    """
    liked = user_post_matrix(sample, sample.liked, has.shape[0])
    share = _of_total(user_post_matrix(sample, expected, has.shape[0]))
    n_liked, of_posts = (np.asarray(liked.sum(axis)).ravel() for axis in (1, 0))
    by_post = (np.bincount(sample.post, x, has.shape[0]) for x in (expected, expected**2))
    mean, squared = (np.maximum(x @ has, LEAST_EXPECTED) for x in by_post)
    dispersion = 1 - squared / mean  # variance of likes over that of Poisson counts
    # A word's likes may be fewer or more than expected, of all users alike.
    level = (of_posts @ has) / np.maximum((n_liked @ share) @ has, LEAST_EXPECTED)
    users = np.flatnonzero(n_liked)
    excess, square, cube = np.zeros((3, has.shape[1]))
    for first in range(0, len(users), USERS_AT_ONCE):
        some = users[first : first + USERS_AT_ONCE]
        likes, own = (liked[some] @ has).toarray(), (share[some] @ has).toarray()
        told, others = own * n_liked[some, None] * level, 1 - own
        excess += ((likes - told) ** 2 - dispersion * likes * others).sum(0)
        told *= others
        square += np.einsum("ij,ij->j", told, told)
        cube += np.einsum("ij,ij,ij->j", told, told, told)
    strength = square / np.maximum(excess, LEAST_EXPECTED)
    chance = _chance(excess / 2, dispersion**2 * square / 2, dispersion**3 * cube)
    found = np.flatnonzero(_is_found(chance) & (strength <= MOST_STRENGTH))
    found = found[np.lexsort((strength[found], chance[found]))][:MOST_WORDS]
    return found, np.maximum(strength[found], LEAST_STRENGTH)


def _of_total(values: csr_matrix) -> csr_matrix:
    """Shares of the sum of each row."""
    total = np.asarray(values.sum(1, float)).ravel()
    return diags((1 / np.where(total > 0, total, 1)).astype(np.float32)) @ values


def _chance(excess: np.ndarray, variance: np.ndarray, skewed: np.ndarray) -> np.ndarray:
    """Probability that chance exceeds each word's excess, shape (n_words,).

    The excess is by how many pairs of a user's likes are more than chance lets expect. Of many
    users with hardly a like each they are Poisson, of few users with many likes they are skewed
    like a gamma variable of their variance and third cumulant. The larger probability holds.

    Args:
        excess: pairs of likes.
        variance: of these by chance, which is their expected number.
        skewed: what their third cumulant has beyond the variance.
    """
    excess, variance = np.maximum(excess, 0), np.maximum(variance, LEAST_EXPECTED)
    scale = (variance + skewed) / (2 * variance)
    shape = variance / scale**2
    of_gamma = gammaincc(shape, shape + excess / scale)
    return np.where(excess > 0, np.maximum(gammainc(variance + excess, variance), of_gamma), 1.0)


def _is_found(chance: np.ndarray) -> np.ndarray:
    """Words of which chance is expected to find `FALSE_DISCOVERIES`; none if it may find all."""
    ordered = np.sort(chance)
    adjusted = ordered * len(chance) / np.arange(1, len(chance) + 1)
    if adjusted.min(initial=1.0) > FALSE_ALARMS:
        return np.zeros(len(chance), bool)
    return np.asarray(chance <= ordered[adjusted <= FALSE_DISCOVERIES].max())
