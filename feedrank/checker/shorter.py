"""A smaller file: what each user saw long ago is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedrank.history import History
from feedrank.knowledge import Knowledge
from feedrank.meta import SECONDS_A_DAY


def without_old_views(knowledge: Knowledge, days: int | None) -> Knowledge:
    """The same knowledge with only the last days of each user's own history; None: all of it.

    What is shared by all users stays whole.
    """
    if days is None:
        return knowledge
    seconds = (knowledge.meta.n_days - days) * SECONDS_A_DAY
    step = max(0, seconds // knowledge.encodings.step_seconds)
    return replace(knowledge, history=since(knowledge.history, step))


def since(history: History, step: int) -> History:
    """Impressions of a step and later ones."""
    kept = np.asarray(history.step) >= step
    n_kept = np.concatenate([[0], np.cumsum(kept)])
    liked = np.unpackbits(np.asarray(history.liked))[: len(kept)]
    return History(
        n_kept[np.asarray(history.offsets)],
        np.asarray(history.post)[kept],
        np.asarray(history.step)[kept],
        np.packbits(liked[kept]),
    )
