"""Catalogue: ids, profile codes and texts of users and posts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.io.arrays import Place, read_array


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
        user_ids: sorted, int64, shape (n_users,).
        post_ids: sorted, int64, shape (n_posts,).
        codes: profile codes, uint16, shape (n_users, n_columns).
    """

    user_ids: np.ndarray
    post_ids: np.ndarray
    codes: np.ndarray

    def user(self, user_id: int) -> int:
        """Row of a user; -1 if unknown."""
        return _row(self.user_ids, user_id)

    def post(self, post_id: int) -> int:
        """Row of a post; -1 if unknown."""
        return _row(self.post_ids, post_id)


def _row(ids: np.ndarray, wanted: int) -> int:
    row = int(np.searchsorted(ids, wanted))
    return row if row < len(ids) and int(ids[row]) == wanted else -1
