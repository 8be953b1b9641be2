"""Taste words: words of texts whose posts some users like more than others, and users' ratios.

A user likes the posts that have a word `ratio` times as often as segment, cluster, quality and the
user's own like rate let expect. A post has the product of the ratios of its taste words, such as an
author's name or the kinds of a film. The words are found at each refit
(`feedrank.learning.texts.taste_words`). Expected likes are sums of multiples of a power of two,
exact in any order (`feedrank.state.posts.factors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from feedrank.state.counts.tally import add_values, smallest_uint
from feedrank.stats.shrinkage import log_ratio

MOST_OF_A_POST = 4  # where up to three genres and a name tell tastes, 8 gain nothing, 1 loses .01
# Prior strengths in expected likes: .1 to .5 give the same lists, and beyond the highest users'
# ratios differ by less than a tenth.
LEAST_STRENGTH, MOST_STRENGTH = 0.5, 100.0


@dataclass(frozen=True)
class TasteWords:
    """Taste words of a refit, numbered from the surest on.

    Attributes:
        of_post: numbers of a post's words, ascending, and the number of all words in the place of
            each that it lacks, shape (MOST_OF_A_POST, n_posts); (0, n_posts) without any word.
        strength: prior strength of a user's ratio, in expected likes, shape (n_words,).
        column: of each word in the design of a text, int64, shape (n_words,).
    """

    of_post: np.ndarray
    strength: np.ndarray
    column: np.ndarray

    @classmethod
    def none(cls, n_posts: int) -> TasteWords:
        """No word."""
        return cls(np.zeros((0, n_posts), np.uint8), np.zeros(0), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.strength)

    @cached_property
    def rows(self) -> np.ndarray:
        """`of_post` as numpy takes numbers fastest."""
        return self.of_post.astype(np.intp)

    def numbers(self, columns: np.ndarray) -> np.ndarray:
        """As `of_post`, of one post whose text has these columns of a design."""
        own = np.flatnonzero(np.isin(self.column, columns))[: len(self.of_post)]
        found = np.full(len(self.of_post), len(self))
        found[: len(own)] = own
        return found

    def followed_by(self, numbers: np.ndarray) -> TasteWords:
        """The same words, with further posts of these numbers, shape (len(of_post), n)."""
        of_post = np.concatenate([self.of_post, numbers.astype(self.of_post.dtype)], axis=1)
        return TasteWords(of_post, self.strength, self.column)


def words_of_posts(post: np.ndarray, word: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`TasteWords.of_post` of pairs of a post and a word, which ascend.

    Args:
        post: row of each, shape (n,).
        word: number of each, shape (n,).
        shape: number of posts, and of words.
    """
    n_posts, n_words = shape
    if not n_words:
        return np.zeros((0, n_posts), np.uint8)
    place = np.arange(len(post)) - np.searchsorted(post, post)
    kept = place < MOST_OF_A_POST
    found = np.full((MOST_OF_A_POST, n_posts), n_words, smallest_uint(n_words))
    found[place[kept], post[kept]] = word[kept]
    return found


class WordEvidence:
    """Likes and expected likes of a few users by taste word, summed over their histories.

    Args:
        words: of the refit.
        rate: like rate at the refit, shape (n_segments, n_posts) (`Factors.rate`).
        segment: of each user, shape (n_users,).
    """

    def __init__(self, words: TasteWords, rate: np.ndarray, segment: np.ndarray) -> None:
        self._words, self._rate, self._segment = words, rate, segment
        # Of the words that a post lacks, the last column.
        self._liked, self._expected = np.zeros((2, len(segment), len(words) + 1))

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Add impressions; `user` counts from 0 within these users."""
        if not len(self._words):
            return
        cell = user.astype(np.int64) * self._liked.shape[1] + self._words.rows[:, post]
        rate = self._rate[self._segment[user], post]
        add_values(self._liked.reshape(-1), cell, liked)
        add_values(self._expected.reshape(-1), cell, rate)

    def log_ratios(self, users: np.ndarray, like_rate: np.ndarray) -> np.ndarray:
        """Each user's log ratios, float32, shape (n, n_words + 1); 0 in the last column.

        Args:
            users: rows of these users, shape (n,).
            like_rate: ratio of each one's likes to those expected, shape (n,).
        """
        found = np.zeros((len(users), len(self._words) + 1), np.float32)
        if not len(self._words):
            return found
        liked, expected = self._liked[users, :-1], self._expected[users, :-1]
        found[:, :-1] = log_ratio(liked, expected * like_rate[:, None], self._words.strength)
        return found
