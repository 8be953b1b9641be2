"""Segments: the profile column by which users differ most in the posts that they like."""

from __future__ import annotations

import numpy as np

from feedrank.log.impressions import Impressions
from feedrank.state.counts.tally import tally
from feedrank.state.profiles import Profiles

# Standard deviations, as the three-sigma rule. On a tenth of the demo's users with 45 days, by its
# first 9 days, age has 3.8 to 5.8 on four seeds, and no other column more than 1.6.
CERTAIN = 3.0
PERMUTATIONS = 20  # an error of a sixth in the standard deviation
MOST_POSTS = 10_000  # the most shown: bounds memory to some 20 MB for 64 codes
LEAST_LIKES = 0.5  # expected of a code or a post; with fewer, a single like would decide
SEED = 1  # any number


def choose_segment_column(profiles: Profiles, rows: Impressions) -> int:
    """The profile column whose codes differ most in the posts that they like; -1 if none does.

    A column's difference is compared with that of the same codes dealt to other users: each user
    keeps all rows, so that neither one who likes much nor a code of few users passes for a
    difference. Of the columns that exceed their own chance by `CERTAIN` standard deviations, the
    one that exceeds it most is taken.

    Args:
        profiles: of all users.
        rows: impressions of some users, in any order.
    """
    n_posts = int(rows.post.max(initial=0)) + 1
    kept = np.argsort(-np.bincount(rows.post, minlength=n_posts), kind="stable")[:MOST_POSTS]
    rows = rows[np.isin(rows.post, kept)]
    _, post = np.unique(rows.post, return_inverse=True)
    users, user = np.unique(rows.user, return_inverse=True)
    rng, best, most = np.random.default_rng(SEED), -1, 0.0
    for column, about in enumerate(profiles.columns):
        codes = profiles.codes[users, column].astype(np.int64)
        dealt = [codes, *(rng.permutation(codes) for _ in range(PERMUTATIONS))]
        found, *chance = (_difference(c[user], about.n_codes, post, rows.liked) for c in dealt)
        excess = found - float(np.mean(chance))
        if excess > max(most, CERTAIN * float(np.std(chance, ddof=1))):
            best, most = column, excess
    return best


def _difference(code: np.ndarray, n_codes: int, post: np.ndarray, liked: np.ndarray) -> float:
    """Largest squared singular value of likes by code and post beyond those of the margins.

    As correspondence analysis has it (Greenacre 1984): a difference between codes shows in many
    posts at once, so that the first direction finds it long before a test of all cells does.
    """
    n_posts = int(post.max(initial=0)) + 1
    counts = tally(code * n_posts + post, liked, n_codes * n_posts).reshape(n_codes, n_posts)
    rate = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    expected = rate[:, None] * counts.shown
    # Each post keeps its own total: only the distribution over the codes is tested.
    expected *= counts.liked.sum(0) / np.maximum(expected.sum(0), LEAST_LIKES)
    of_code, of_post = (np.maximum(expected.sum(axis), LEAST_LIKES) for axis in (1, 0))
    residual = (counts.liked - expected) * np.sqrt(counts.liked.sum() / np.outer(of_code, of_post))
    return float(np.linalg.eigvalsh(residual @ residual.T)[-1])
