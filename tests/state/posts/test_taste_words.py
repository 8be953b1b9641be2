from __future__ import annotations

import numpy as np

from feedrank.state.counts.tally import add_values
from feedrank.state.posts.taste_words import (
    MOST_OF_A_POST,
    TasteWords,
    WordEvidence,
    words_of_posts,
)

HAS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], bool)  # of four posts, three words
WORDS = TasteWords(
    words_of_posts(*np.nonzero(HAS), HAS.shape), np.array([1.0, 2.0, 4.0]), np.array([7, 5, 9])
)
RATE = np.array([[0.25, 0.5, 0.125, 0.25], [0.5, 0.5, 0.25, 0.125]])  # of two segments


def test_a_post_has_its_surest_words() -> None:
    expected = [[0, 2, 3, 3], [3, 3, 3, 3], [0, 1, 2, 3], [1, 3, 3, 3]]
    np.testing.assert_array_equal(WORDS.of_post.T, expected)
    many = words_of_posts(*np.nonzero(np.ones((2, 9))), (2, 9))
    np.testing.assert_array_equal(many.T, [np.arange(MOST_OF_A_POST)] * 2)


def test_a_text_has_the_words_of_its_columns_the_surest_first() -> None:
    assert WORDS.numbers(np.array([0, 7, 9])).tolist() == [0, 2, 3, 3]
    assert WORDS.numbers(np.array([5, 6])).tolist() == [1, 3, 3, 3]
    assert WORDS.numbers(np.array([9, 7, 5])).tolist() == [0, 1, 2, 3]
    six = TasteWords(WORDS.of_post, np.ones(6), np.arange(6))
    assert six.numbers(np.array([5, 1, 2, 0, 4])).tolist() == [0, 1, 2, 4]
    longer = WORDS.followed_by(np.array([[0], [2], [3], [3]]))
    assert longer.of_post[:, -1].tolist() == [0, 2, 3, 3]
    assert longer.of_post.dtype == WORDS.of_post.dtype


def test_a_user_s_ratio_is_likes_over_expected_ones_of_the_word_alone() -> None:
    evidence = WordEvidence(WORDS, RATE, np.array([0, 1]))
    user, post = np.array([1, 0, 0, 1, 0]), np.array([0, 0, 2, 1, 3])
    liked = np.array([1, 1, 0, 1, 1], np.uint8)
    evidence.update(user, post, liked)
    found = evidence.log_ratios(np.arange(2), np.array([2.0, 1.0]))
    # User 0, who likes twice as often: post 0 liked, post 2 not, post 3 liked.
    of_first = [(1 + 1) / (2 * 0.375 + 1), (1 + 2) / (2 * 0.375 + 2), (1 + 4) / (2 * 0.375 + 4)]
    of_second = [(1 + 1) / (0.5 + 1), 1, (1 + 4) / (0.5 + 4)]
    np.testing.assert_allclose(np.exp(found[:, :3]), [of_first, of_second], rtol=1e-4)
    np.testing.assert_array_equal(found[:, 3], 0)


def test_counts_step_by_step_are_those_at_once() -> None:
    rng = np.random.default_rng(0)
    user, post = rng.integers(0, 50, 4_000), rng.integers(0, 4, 4_000)
    liked = rng.integers(0, 2, 4_000).astype(np.uint8)
    rate = np.round(rng.random((2, 4)) * 2**16) / 2**16  # as factors have it
    segment = rng.integers(0, 2, 50)
    whole, parts = (WordEvidence(WORDS, rate, segment) for _ in range(2))
    whole.update(user, post, liked)
    for some in np.array_split(rng.permutation(4_000), 300):
        parts.update(user[some], post[some], liked[some])
    users, like_rate = np.arange(50), rng.random(50) + 0.5
    first, second = (e.log_ratios(users, like_rate) for e in (whole, parts))
    assert first.tobytes() == second.tobytes()
    (alone,) = parts.log_ratios(users[7:8], like_rate[7:8])
    assert alone.tobytes() == first[7].tobytes()


def test_without_words_there_is_nothing_to_count() -> None:
    evidence = WordEvidence(TasteWords.none(4), RATE, np.array([0]))
    evidence.update(np.zeros(3, np.int64), np.arange(3), np.ones(3))
    np.testing.assert_array_equal(evidence.log_ratios(np.arange(1), np.ones(1)), [[0]])


def test_values_of_several_rows_of_cells_are_added_to_each() -> None:
    rng = np.random.default_rng(1)
    cells, values = rng.integers(0, 9, (4, 30)), rng.random(30)
    for n_cells in (9, 10_000):  # many values a cell, and few
        total = np.zeros(n_cells)
        add_values(total, cells, values)
        expected = [values[(cells == cell).nonzero()[1]].sum() for cell in range(9)]
        np.testing.assert_allclose(total[:9], expected)
        assert not total[9:].any()
