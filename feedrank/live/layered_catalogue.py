"""Layered catalogue: users and posts of an artifact, then those that came later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from feedrank.live.events import NewPost, NewUser
from feedrank.live.profile_codes import ProfileCoding
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.state.catalogue import Catalogue, Id, Texts, are_text, plain_ids

Rows = Mapping[Id, int]
NONE = Catalogue(*[np.zeros(0, np.int64)] * 2, *[np.zeros((0, 0), np.uint16)] * 2)


@dataclass(frozen=True)
class LayeredTexts(Texts):
    """Texts of a log's posts, then later ones."""

    later: tuple[str, ...] = ()

    def __getitem__(self, row: int) -> str:
        n_log = len(self.offsets) - 1
        return super().__getitem__(row) if row < n_log else self.later[row - n_log]

    def rows_of(self, text: str) -> np.ndarray:
        """Rows that hold exactly this text, sorted, int64, shape (n,)."""
        n_log = len(self.offsets) - 1
        later = [n_log + number for number, own in enumerate(self.later) if own == text]
        return np.concatenate([super().rows_of(text), np.array(later, np.int64)])

    def followed_by(self, texts: Iterable[str]) -> LayeredTexts:
        """With further texts."""
        return replace(self, later=(*self.later, *texts))


@dataclass(frozen=True)
class LayeredCatalogue(Catalogue):
    """Users and posts of a log in the order of their ids, then later ones in that of arrival.

    Attributes:
        log: its catalogue.
        later_users: row of each later user.
        later_posts: row of each later post.
    """

    log: Catalogue = NONE
    later_users: Rows = field(default_factory=dict)
    later_posts: Rows = field(default_factory=dict)

    @classmethod
    def over(cls, log: Catalogue) -> LayeredCatalogue:
        """The catalogue of a log, without anything later."""
        return cls(**vars(log), log=log)

    def user(self, user_id: Id) -> int:
        """Row of a user; -1 if unknown."""
        row = self.log.user(user_id)
        return row if row >= 0 else self.later_users.get(_key(self.user_ids, user_id), -1)

    def post(self, post_id: Id) -> int:
        """Row of a post; -1 if unknown."""
        row = self.log.post(post_id)
        return row if row >= 0 else self.later_posts.get(_key(self.post_ids, post_id), -1)

    def rows_of(self, user_ids: np.ndarray, post_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of users and of posts, -1 of those unknown, int64."""
        return (
            _rows(self.log.user_ids, self.later_users, user_ids),
            _rows(self.log.post_ids, self.later_posts, post_ids),
        )

    def with_users(self, users: Iterable[NewUser], coding: ProfileCoding) -> LayeredCatalogue:
        """With the users that are not there yet."""
        new = {_key(self.user_ids, u.user_id): u for u in users if self.user(u.user_id) < 0}
        if not new:
            return self
        coded = [coding.of(user.profile) for user in new.values()]
        codes, moments = (
            np.concatenate([known, np.array(some, known.dtype).reshape(len(new), -1)])
            for known, some in zip(
                (self.codes, self.moments), zip(*coded, strict=True), strict=True
            )
        )
        return replace(
            self,
            user_ids=_longer(self.user_ids, new),
            codes=codes,
            moments=moments,
            later_users={**self.later_users, **_numbered(new, len(self.user_ids))},
        )

    def with_posts(self, posts: Iterable[NewPost]) -> tuple[LayeredCatalogue, list[NewPost]]:
        """With the posts that are not there yet, and these."""
        new = {_key(self.post_ids, p.post_id): p for p in posts if self.post(p.post_id) < 0}
        if not new:
            return self, []
        hidden = self.hidden_from
        if len(hidden):
            hidden = np.concatenate([hidden, np.full(len(new), NEVER)])
        later = {**self.later_posts, **_numbered(new, len(self.post_ids))}
        ids = _longer(self.post_ids, new)
        return replace(self, post_ids=ids, hidden_from=hidden, later_posts=later), [*new.values()]

    def with_hidden(self, hidden: Mapping[Id, bool | None]) -> LayeredCatalogue:
        """With posts hidden or open at all moments, or as in the log; unknown ones are left out."""
        rows = {self.post(post_id): is_hidden for post_id, is_hidden in hidden.items()}
        rows.pop(-1, None)
        if not rows:
            return self
        hidden_from = np.full(len(self.post_ids), NEVER)
        hidden_from[: len(self.log.hidden_from)] = self.log.hidden_from
        said = {row: is_hidden for row, is_hidden in rows.items() if is_hidden is not None}
        hidden_from[list(said)] = [ALWAYS if is_hidden else NEVER for is_hidden in said.values()]
        if np.array_equal(hidden_from, self.hidden_from):
            return self
        return replace(self, hidden_from=hidden_from)


def _key(ids: np.ndarray, wanted: Id) -> Id:
    """An id as `plain_ids` gives it."""
    return str(wanted) if are_text(ids) else wanted


def _numbered(new: Iterable[Id], first: int) -> dict[Id, int]:
    return {identity: row for row, identity in enumerate(new, start=first)}


def _longer(ids: np.ndarray, new: Iterable[Id]) -> np.ndarray:
    """Ids with further ones; text becomes as wide as the longest needs."""
    more = [str(i).encode() if are_text(ids) else i for i in new]
    return np.concatenate([ids, np.array(more)])


def _rows(known: np.ndarray, later: Rows, ids: np.ndarray) -> np.ndarray:
    if are_text(known) != are_text(ids):
        return np.full(len(ids), -1)  # of another kind than any that is known
    narrow = ids.astype(known.dtype)  # text that is cut off here differs from what is compared
    row = np.minimum(np.searchsorted(known, narrow), max(len(known) - 1, 0))
    found = np.where(known[row] == ids, row, -1) if len(known) else np.full(len(ids), -1)
    if later and (missing := np.flatnonzero(found < 0)).size:
        found[missing] = [later.get(i, -1) for i in plain_ids(ids[missing])]
    return found
