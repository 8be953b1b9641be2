"""Following: does the rest of a step show more of what a user liked earlier in it?

States are as of the step, so that no other test sees a feed that answers a like at once. Of
impressions of one part of the posts, such as a topic, within one stratum and day, those that were
liked are held against those that were not: by the share of the part in the user's later impressions
of the step. Under a random feed that share does not depend on the like, however few the rows. It
does where the feed knows a user's lasting tastes, and a little where topics are both shown more and
liked more at some hours of a day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from feedrank.state.history import InteractionSample


class Following(NamedTuple):
    """What follows a like, against what follows an impression that was not liked.

    Attributes:
        size: difference of the shares of the part in what follows, over their mean; NaN where none
            can differ.
        z: over its standard error, clustered by user.
        n_liked: liked impressions that others follow.
    """

    size: float
    z: float
    n_liked: int


def following_of(sample: InteractionSample, day: np.ndarray, part: np.ndarray) -> Following:
    """Of impressions, user by user and each user's in order of time.

    Args:
        sample: impressions.
        day: of each, whole numbers from 0, shape (n,).
        part: of each post, whole numbers from 0, shape (n_posts,).
    """
    user, of, n_parts = sample.user.astype(np.int64), part[sample.post], int(part.max()) + 1
    _, session = np.unique(user << 32 | sample.step.astype(np.int64), return_inverse=True)
    same, later = _later(session * n_parts + of), _later(session)
    kept = later > 0
    share = same[kept] / later[kept]
    liked = sample.liked[kept].astype(float)
    n_days = int(day.max(initial=0)) + 1
    cell = (sample.segment[user] * n_days + day) * n_parts + of
    _, cell = np.unique(cell[kept], return_inverse=True)
    liked_more, share_more = (x - _means(cell, x)[cell] for x in (liked, share))
    weight, mean = float(np.sum(liked_more**2)), float(share.mean()) if len(share) else 0.0
    of_user = np.bincount(user[kept], liked_more * share_more)
    error = float(np.sqrt(np.sum(of_user**2)))
    if not weight or not mean or not error:
        return Following(np.nan, 0.0, int(liked.sum()))
    beyond = float(of_user.sum())
    return Following(beyond / weight / mean, beyond / error, int(liked.sum()))


def _later(key: np.ndarray) -> np.ndarray:
    """Number of later rows with the key of each row, shape (n,)."""
    order = np.argsort(key, kind="stable")
    end = np.append(np.flatnonzero(np.diff(key[order]) != 0) + 1, len(key))
    size = np.diff(end, prepend=0)
    found = np.empty(len(key), np.int64)
    found[order] = np.repeat(end, size) - 1 - np.arange(len(key))
    return found


def _means(cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(cell, values) / np.bincount(cell)
