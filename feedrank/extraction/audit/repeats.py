"""Repeats: does the network show a post twice to a user?"""

from __future__ import annotations

import numpy as np

from feedrank.log.files import Log

USERS = 1000  # that are looked at: a second's work in a log of any size
# Pairs expected by chance: of 30, at most 3 are found with a probability below 1e-8 (Poisson).
FEWEST_EXPECTED, MOST_FOUND = 30, 0.1


def warning_of_no_repeats(log: Log) -> str | None:
    """A warning where users see a post again far more rarely than by chance; None elsewhere.

    By chance means that each impression shows a post with its share of all impressions.
    """
    bucket = log.bucket(0)
    looked_at = bucket[bucket.user < USERS]
    pair = looked_at.user * np.int64(log.meta.n_posts) + looked_at.post
    by_pair = np.unique(pair, return_counts=True)[1]
    by_user = np.bincount(looked_at.user).astype(float)
    share = np.bincount(looked_at.post) / max(len(looked_at), 1)
    expected = float((by_user * (by_user - 1)).sum() / 2 * (share**2).sum())
    found = int((by_pair * (by_pair - 1)).sum() / 2)
    if expected < FEWEST_EXPECTED or found > MOST_FOUND * expected:
        return None
    return (
        f"of {len(looked_at):,} impressions looked at, {found:,} pairs show one post to one user "
        f"twice; by chance there would be about {expected:,.0f}. If the network shows each post "
        "once, set 'export.exclude' to seen: else lists hold posts that a user has had."
    )
