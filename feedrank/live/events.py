"""Events: what happens on the network after an artifact was made, as the delta log holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feedrank.state.catalogue import Id

IMPRESSION, LIKED, LIKE = 0, 1, 2  # kinds; a like is of an impression that came before it


@dataclass(frozen=True)
class Events:
    """Rows of the feed, in order of arrival.

    Attributes:
        seq: number of the row in the delta log, int64, shape (n,).
        user_id: as the catalogue's, int64 or UTF-8 of a fixed width, shape (n,).
        post_id: likewise.
        at: seconds since 1970 on the log's clock, int64, shape (n,).
        kind: `IMPRESSION`, `LIKED` or `LIKE`, uint8, shape (n,).
    """

    seq: np.ndarray
    user_id: np.ndarray
    post_id: np.ndarray
    at: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.seq)

    def __getitem__(self, rows: np.ndarray | slice) -> Events:
        return Events(*(column[rows] for column in vars(self).values()))

    @classmethod
    def joined(cls, parts: list[Events]) -> Events:
        """Rows of several batches, one after another."""
        return cls(
            *(np.concatenate(c) for c in zip(*(vars(p).values() for p in parts), strict=True))
        )


@dataclass(frozen=True)
class NewPost:
    """A post that the artifact may lack."""

    seq: int
    post_id: Id
    text: str
    topic: str


@dataclass(frozen=True)
class NewUser:
    """A user whom the artifact may lack; the profile is by the source's column."""

    seq: int
    user_id: Id
    profile: Mapping[str, object]


@dataclass(frozen=True)
class HiddenPost:
    """A post that is hidden from now on, or open again; the last one of a post holds."""

    seq: int
    post_id: Id
    is_hidden: bool
