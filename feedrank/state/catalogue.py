"""Catalogue: ids, profile codes and texts of users and posts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Iterable, Union

import numpy as np

from feedrank.io.arrays import Place, read_array
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.state.profiles import MISSING

OPTIONAL = ("hidden_from", "moments")  # arrays without a file where they are empty
NO_DAY = np.iinfo(np.int32).max  # later than any request: missing, or never
NOBODY = -1  # row of a user who is not in the catalogue: without a history or a known profile
Id = Union[int, str]  # of a user or a post, as the database holds it


@dataclass(frozen=True)
class Texts:
    """Texts laid end to end, so that each is read alone.

    Attributes:
        blob: UTF-8, uint8, shape (n_bytes,).
        offsets: where each text begins, int64, shape (n + 1,).
    """

    blob: np.ndarray
    offsets: np.ndarray

    def __getitem__(self, row: int) -> str:
        first, last = int(self.offsets[row]), int(self.offsets[row + 1])
        return self.blob[first:last].tobytes().decode()

    def rows_of(self, text: str) -> np.ndarray:
        """Rows that hold exactly this text, sorted, int64, shape (n,)."""
        wanted = np.frombuffer(text.encode(), dtype=np.uint8)
        rows = np.flatnonzero(np.diff(self.offsets) == len(wanted))
        found = self.blob[self.offsets[rows][:, None] + np.arange(len(wanted))]
        return rows[(found == wanted).all(1)]

    @classmethod
    def of(cls, texts: list[str]) -> Texts:
        """Lay texts end to end."""
        encoded = [t.encode() for t in texts]
        offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>_{blob,offsets}.npy`."""
        np.save(directory / f"{name}_blob.npy", self.blob)
        np.save(directory / f"{name}_offsets.npy", self.offsets)

    @classmethod
    def load(cls, place: Place, name: str) -> Texts:
        """Texts that `save` wrote."""
        return cls(*(read_array(place / f"{name}_{part}.npy") for part in ("blob", "offsets")))


@dataclass(frozen=True)
class Catalogue:
    """Users who can ask and posts that can be recommended, by row.

    Attributes:
        user_ids: sorted, int64 or UTF-8 of a fixed width, shape (n_users,).
        post_ids: sorted, likewise, shape (n_posts,).
        codes: profile codes, uint16, shape (n_users, n_columns).
        moments: days of the users' moments, counted from the log's first, int32, shape
            (n_users, n_moments); NO_DAY for none.
        hidden_from: seconds since the log's origin from which on a post is history and not
            recommended, int64, shape (n_posts,); (0,) where the source hides none.
    """

    user_ids: np.ndarray
    post_ids: np.ndarray
    codes: np.ndarray
    moments: np.ndarray
    hidden_from: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def user(self, user_id: Id) -> int:
        """Row of a user; `NOBODY` if unknown."""
        return _row(self.user_ids, user_id)

    def profiles_of(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes and moments of users by row, all missing for `NOBODY`, (n, n_columns) each."""
        codes, moments = np.array(self.codes[users]), np.array(self.moments[users])
        codes[users == NOBODY], moments[users == NOBODY] = MISSING, NO_DAY
        return codes, moments

    def post(self, post_id: Id) -> int:
        """Row of a post; -1 if unknown."""
        return _row(self.post_ids, post_id)

    def posts(self, post_ids: Iterable[Id]) -> np.ndarray:
        """Rows of the posts that are known, sorted, each once, int64, shape (n,)."""
        rows = np.unique(np.array([self.post(post_id) for post_id in post_ids], dtype=np.int64))
        return rows[rows >= 0]

    def open_posts(self, at: int) -> np.ndarray:
        """Rows of the posts that are not hidden at a second."""
        if not len(self.hidden_from):
            return np.arange(len(self.post_ids))
        return np.flatnonzero(self.hidden_from > at)

    def open_among(self, post: np.ndarray, at: int) -> np.ndarray:
        """Those of some rows of posts that are not hidden at a second."""
        return post if not len(self.hidden_from) else post[self.hidden_from[post] > at]

    def as_served(self) -> Catalogue:
        """The catalogue of a service: posts that are ever hidden are so at every moment."""
        if not len(self.hidden_from):
            return self
        return replace(self, hidden_from=np.where(self.hidden_from < NEVER, ALWAYS, NEVER))

    def save(self, directory: Path) -> None:
        """Write `catalogue_*.npy`, but for empty ones."""
        for name, array in vars(self).items():
            if array.size or name not in OPTIONAL:
                np.save(directory / f"catalogue_{name}.npy", array)

    @classmethod
    def load(cls, place: Place) -> Catalogue:
        """Users and posts that `save` wrote."""
        files = {name: place / f"catalogue_{name}.npy" for name in cls.__dataclass_fields__}
        there = [name for name, path in files.items() if name not in OPTIONAL or path.exists()]
        arrays = {name: read_array(files[name]) for name in there}
        return cls(**{"moments": np.zeros((len(arrays["codes"]), 0), np.int32), **arrays})


def id_array(ids: np.ndarray) -> np.ndarray:
    """Whole numbers as int64, and text as UTF-8 of a fixed width, which sorts alike."""
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    return np.array([text.encode() for text in ids.tolist()])


def are_text(ids: np.ndarray) -> bool:
    """Whether ids are text, and not whole numbers."""
    return ids.dtype.kind == "S"


def plain_ids(ids: np.ndarray) -> list[Id]:
    """Ids as the database holds them: whole numbers, or text."""
    if are_text(ids):
        return [text.decode() for text in ids.tolist()]
    numbers: list[Id] = ids.tolist()
    return numbers


def _row(ids: np.ndarray, wanted: Id) -> int:
    if are_text(ids):
        return _row_of_text(ids, str(wanted).encode(errors="replace"))
    if isinstance(wanted, str):
        return -1
    row = int(np.searchsorted(ids, wanted))
    return row if row < len(ids) and int(ids[row]) == wanted else -1


def _row_of_text(ids: np.ndarray, wanted: bytes) -> int:
    # A search for wider text would copy all ids into its width.
    if len(wanted) > ids.dtype.itemsize:
        return -1
    row = int(np.searchsorted(ids, np.array(wanted, ids.dtype)))
    return row if row < len(ids) and ids[row] == wanted else -1
