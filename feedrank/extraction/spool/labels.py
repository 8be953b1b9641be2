"""Labels: the impressions of a bucket, each counted once, from rows that may hold likes apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.extraction.spool.packing import Packing


@dataclass(frozen=True)
class Labelled:
    """Impressions of a bucket, and the rows that are none.

    Attributes:
        impressions: packed, ascending, unique by user, post and second; uint64, shape (n,).
        repeats: packed impressions that are there already.
        likes: packed rows of likes, which came without a label of their own; else empty.
        n_stray: how many of the likes follow no impression.
    """

    impressions: np.ndarray
    repeats: np.ndarray
    likes: np.ndarray
    n_stray: int


def labelled(packed: np.ndarray, packing: Packing, window: int | None) -> Labelled:
    """Impressions with their labels.

    With a window, rows whose lowest bit is set are likes. A like is of the last impression of its
    user and post at or before it, if that is less than the window ago; it says nothing of others.
    Without one, the bit is the label, and of repeated impressions a liked one is kept.

    Args:
        packed: rows of one bucket, uint64, ascending, shape (n,).
        packing: of the rows.
        window: seconds.
    """
    if window is None:
        return Labelled(*_once(packed), packed[:0], 0)
    is_like = (packed & np.uint64(1)).astype(bool)
    likes = packed[is_like]
    impressions, repeats = _once(packed[~is_like])
    shown, liked = packing.by_pair(impressions), packing.by_pair(likes)
    order = np.argsort(shown, kind="stable")
    last = np.searchsorted(shown[order], liked, side="right") - 1
    follows = last >= 0
    follows[follows] = packing.is_within(shown[order[last[follows]]], liked[follows], window)
    impressions[order[last[follows]]] |= np.uint64(1)
    return Labelled(impressions, repeats, likes, int((~follows).sum()))


def _once(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last row of each impression, which is a liked one if any is, and the others."""
    is_last = np.ones(len(packed), bool)
    np.not_equal(packed[1:] >> np.uint64(1), packed[:-1] >> np.uint64(1), out=is_last[:-1])
    if is_last.all():
        return packed, packed[:0]
    return packed[is_last], packed[~is_last]
