"""Feature: one column of the matrix, and what tells its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

import numpy as np

from feedrank.features.question import Question

Read = Callable[[Question], Union[np.ndarray, float]]
RATIO, TERM = 1.0, 0.0  # prior means of weights
POST, CLUSTER, TOPIC, USER = "post", "cluster", "topic", "user"
PAIR, SHOWN = "pair", "shown"


@dataclass(frozen=True)
class Feature:
    """One column of the matrix.

    Attributes:
        name: as in the manifest.
        read: the values for a question, shape (n,), or one number for all.
        words: the feature in words, for people.
        weight: prior mean of its weight in a first stage. 1: a log ratio or log-odds; 0: a
            term, whose weight is of any sign; None: of trees alone. NaN only there.
        grain: what tells the value within a step: the user's segment and the post (`POST`), the
            user and the post's cluster or topic, the user and the moment (`USER`), the pair, or
            the pair where it was shown before (`SHOWN`): the value of any other is 0.
        has_extremes: of `PAIR`: whether `read` also tells the highest and the lowest value of
            posts that are alike (`feedrank.ranking.tiles`), which has no counts of pairs; lists of
            others score every post.
        group: of a term: those of one group count together or not at all, as rows decide. By
            default its grain; each of `PAIR` is alone.
    """

    name: str
    read: Read
    words: str
    weight: float | None
    grain: str = PAIR
    has_extremes: bool = False
    group: str = ""
