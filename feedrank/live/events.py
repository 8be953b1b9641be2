"""Events: what happens on the network after an artifact was made, as the delta log holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feedrank.log.columns import Columns
from feedrank.state.catalogue import Id, id_array

VECTOR = "<f4"  # of an embedding
IMPRESSION, LIKED, LIKE = 0, 1, 2  # kinds; a like is of an impression that came before it
SOURCE = "source"  # who hides, where the database does


@dataclass(frozen=True)
class Events(Columns):
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

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]]) -> Events:
        """Events of rows, each with the columns in this order."""
        seq, user, post, at, kind = zip(*rows, strict=True) if rows else ((),) * 5
        at_seconds = np.array(at, np.int64)
        return cls(
            np.array(seq, np.int64), _ids(user), _ids(post), at_seconds, np.array(kind, np.uint8)
        )


@dataclass(frozen=True)
class NewPost:
    """A post that the artifact may lack."""

    seq: int
    post_id: Id
    text: str
    topic: str
    embedding: np.ndarray | None = field(default=None, compare=False)

    @classmethod
    def of_row(cls, seq: int, post_id: Id, text: str, topic: str, kept: bytes | None) -> NewPost:
        """The post of a row, whose embedding is as `packed` gave it."""
        embedding = None if kept is None else np.frombuffer(kept, VECTOR)
        return cls(seq, post_id, text, topic, embedding)


@dataclass(frozen=True)
class NewUser:
    """A user whom the artifact may lack; the profile is by the source's column."""

    seq: int
    user_id: Id
    profile: Mapping[str, object]


@dataclass(frozen=True)
class HiddenPost:
    """Whether a post is hidden from now on; the last one of a post holds.

    Attributes:
        seq: number of the row in the delta log.
        post_id: as in the database.
        is_hidden: whether somebody hides it; False only if nobody does and the source has opened
            it. None: nobody does any more, so that it is as in the artifact.
    """

    seq: int
    post_id: Id
    is_hidden: bool | None


@dataclass(frozen=True)
class Happened:
    """What is appended at once, whole or not at all.

    Attributes:
        events: user id, post id, seconds since 1970 on the log's clock, kind, and
            an id of the event or None.
        posts: id, text, topic and, where it is known, the embedding.
        users: id and profile by the source's column.
        hidden: id of a post, and whether it is hidden from now on.
        hidden_by: who says so; a post is hidden as long as anybody hides it.
        marks: how far a reader of the source has come, by its name.
    """

    events: Sequence[tuple[Id, Id, int, int, str | None]] = ()
    posts: Sequence[tuple[Id, str, str] | tuple[Id, str, str, np.ndarray | None]] = ()
    users: Sequence[tuple[Id, Mapping[str, object]]] = ()
    hidden: Sequence[tuple[Id, bool]] = ()
    hidden_by: str = "request"
    marks: Mapping[str, str] | None = None


def packed(embedding: np.ndarray | None = None) -> bytes | None:
    """An embedding as the delta log keeps it."""
    return None if embedding is None else np.asarray(embedding, VECTOR).tobytes()


def _ids(ids: Sequence[Id]) -> np.ndarray:
    return id_array(np.array(ids)) if ids else np.zeros(0, np.int64)
