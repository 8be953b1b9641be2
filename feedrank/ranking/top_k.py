"""Top k: the best of many scores, in one order everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

BLOCK = 64  # scores; 32 to 128 cost the same
# Below, log-odds that differ by more than the second have different probabilities, in float32.
SATURATED, CERTAIN = 10.0, 2.0**-6


def kth_highest(score: np.ndarray, k: int) -> np.floating:
    """The k-th highest of at least k > 0 scores.

    The k-th highest of the blocks' best scores is no higher, and leaves few scores to look at: of
    7,000 a fourth of the time.
    """
    n_blocks = len(score) // BLOCK
    if n_blocks > k:
        best = score[: n_blocks * BLOCK].reshape(-1, BLOCK).max(1)
        score = score[score >= np.partition(best, n_blocks - k)[n_blocks - k]]
    return np.partition(score, len(score) - k)[len(score) - k]


def best_rows(score: np.ndarray, k: int) -> np.ndarray:
    """Rows of the k highest scores, best first, earlier rows first among equals.

    Only scores that reach the k-th are sorted: five of 7,000 cost a fifth of a whole sort.
    """
    rows = np.arange(len(score))
    if 0 < k < len(score):
        rows = np.flatnonzero(score >= kth_highest(score, k))
    return rows[np.argsort(-score[rows], kind="stable")[:k]]


@dataclass(frozen=True)
class Reach:
    """Which posts the trees can still lift into a list, given their first-stage log-odds.

    Attributes:
        k: length of the list.
        spread: by how much more the trees can lift one post than another; inf if that is unknown.
    """

    k: int
    spread: float

    def rows(self, log_odds: np.ndarray, n_kept: int, slack: float = 0.0) -> np.ndarray:
        """Rows of the `n_kept` highest, and those that tie with the last, that are within reach.

        Arguments are those of `least`.
        """
        return np.flatnonzero(log_odds >= self.least(log_odds, n_kept, slack))

    def least(self, log_odds: np.ndarray, n_kept: int, slack: float = 0.0) -> float:
        """Log-odds that a post needs, of these or a further one; -inf for any.

        Args:
            log_odds: of posts, shape (n,).
            n_kept: at least `k`.
            slack: by which log-odds may be lower than the true ones, compared with each other.
        """
        least = -inf
        if len(log_odds) > self.k:
            least = min(float(kth_highest(log_odds, self.k)), SATURATED)
            least -= self.spread + CERTAIN + slack
        some = log_odds[log_odds >= least]
        return least if len(some) <= n_kept else float(kth_highest(some, n_kept)) - slack
