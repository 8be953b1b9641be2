"""Taste words are found: those in which users differ more than chance lets them, at a refit.

Given how often a user likes anything, likes of the posts with a word vary more between users than
those of a binomial if tastes hang on the word. The score test of that overdispersion (Dean 1992)
takes sums of squares alone, so that thousands of words cost a few products of sparse matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.special import gammainc

from feedrank.learning.posts.fit import FittedPosts
from feedrank.learning.posts.sample import expected_likes, user_post_matrix
from feedrank.learning.posts.tastes import taste_ratios
from feedrank.learning.texts.design import n_fixed_columns
from feedrank.state.counts.tally import Tally
from feedrank.state.history import InteractionSample
from feedrank.state.posts.clusters import post_state
from feedrank.state.posts.taste_words import TasteWords, words_of_posts
from feedrank.stats.shrinkage import HIGHEST_RATE, fit_strength

# Words of all impressions of a sample, and its users, at most: a second of a processor.
MOST_CELLS, MOST_USERS = 20_000_000, 20_000
USERS_AT_ONCE = 500  # of whom sums by all words are held: of 5,000 words 10 MB each
MOST_WORDS = 511  # users of a bucket have two sums a word: at 20,000 users, 160 MB
# Share of the words found that chance may have found (Benjamini and Hochberg 1995), and of logs
# without tastes that find any (Simes 1986).
FALSE_DISCOVERIES, FALSE_ALARMS = 0.5, 0.05
# Prior strengths in expected likes: beyond the highest, users' ratios differ by less than a tenth.
LEAST_STRENGTH, MOST_STRENGTH = 0.5, 100.0
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
    expected *= _topic_ratios(sample, expected, words.topic)
    found, strength = tastes_of(sample, np.minimum(expected, HIGHEST_RATE), words.has)
    has = words.has[:, found].toarray() > 0
    return TasteWords(words_of_posts(has), strength, words.column[found])


def _thinned(sample: InteractionSample, has: csr_matrix) -> InteractionSample:
    """Every so many users, so that all their posts have `MOST_CELLS` words at most."""
    n_cells = int(np.diff(has.indptr)[sample.post].sum())
    apart = max(1, -(-n_cells // MOST_CELLS), -(-sample.n_users // MOST_USERS))
    return sample if apart == 1 else sample[sample.user % apart == 0]


def _topic_ratios(sample: InteractionSample, expected: np.ndarray, topic: np.ndarray) -> np.ndarray:
    """Posterior ratio of each impression's user in its post's topic, shape (n,)."""
    n_topics = int(topic.max()) + 1
    cell = sample.user.astype(np.int64) * n_topics + topic[sample.post]
    shown, liked, total = (np.bincount(cell, x) for x in (None, sample.liked, expected))
    return taste_ratios(sample, expected, topic, fit_strength(liked, shown, total))


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
    of_word, squared = (np.maximum(x @ has, LEAST_EXPECTED) for x in by_post)
    dispersion = 1 - squared / of_word  # variance of likes over that of Poisson counts
    # A word's likes may be fewer or more than expected, of all users alike.
    level = (of_posts @ has) / np.maximum((n_liked @ share) @ has, LEAST_EXPECTED)
    users = np.flatnonzero(n_liked)
    excess, square = np.zeros((2, has.shape[1]))
    for first in range(0, len(users), USERS_AT_ONCE):
        some = users[first : first + USERS_AT_ONCE]
        likes, own = (liked[some] @ has).toarray(), (share[some] @ has).toarray()
        of_word = own * n_liked[some, None] * level
        own = 1 - own  # of the user's other posts
        excess += ((likes - of_word) ** 2 - dispersion * likes * own).sum(0)
        of_word *= own
        square += np.einsum("ij,ij->j", of_word, of_word)
    strength = square / np.maximum(excess, LEAST_EXPECTED)
    chance = _chance(excess, dispersion**2 * square)
    found = np.flatnonzero(_is_found(chance) & (strength <= MOST_STRENGTH))
    found = found[np.lexsort((strength[found], chance[found]))][:MOST_WORDS]
    return found, np.maximum(strength[found], LEAST_STRENGTH)


def _chance(excess: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Probability that chance exceeds each word's excess, shape (n_words,).

    Half the excess is by how many pairs of a user's likes are more than chance lets expect. They
    are Poisson with a mean of half the sum of squares, and normal only where they are many.

    Args:
        excess: of squares beyond those of chance.
        square: sum of squares of expected likes, of a binomial's dispersion.
    """
    mean = np.maximum(square / 2, LEAST_EXPECTED)
    return np.where(excess > 0, gammainc(mean + np.maximum(excess, 0) / 2, mean), 1.0)


def _of_total(values: csr_matrix) -> csr_matrix:
    """Shares of the sum of each row."""
    total = np.asarray(values.sum(1, float)).ravel()
    return diags((1 / np.where(total > 0, total, 1)).astype(np.float32)) @ values


def _is_found(chance: np.ndarray) -> np.ndarray:
    """Words of which chance is expected to find `FALSE_DISCOVERIES`; none if it may find all."""
    ordered = np.sort(chance)
    adjusted = ordered * len(chance) / np.arange(1, len(chance) + 1)
    if adjusted.min(initial=1.0) > FALSE_ALARMS:
        return np.zeros(len(chance), bool)
    return np.asarray(chance <= ordered[adjusted <= FALSE_DISCOVERIES].max())
