"""The additive counts, shared and per user, and what was known before a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.places import Place, read_array


@dataclass(frozen=True)
class Tally:
    """Impressions and likes by key.

    Attributes:
        shown: impressions, shape (n_keys,).
        liked: likes among them, shape (n_keys,).
    """

    shown: np.ndarray
    liked: np.ndarray

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.shown + other.shown, self.liked + other.liked)

    def reshape(self, *shape: int) -> Tally:
        """The same counts with their key split into parts."""
        return Tally(self.shown.reshape(shape), self.liked.reshape(shape))


def tally(key: np.ndarray, liked: np.ndarray, n_keys: int) -> Tally:
    """Impressions and likes by key: additive, so any split and order of rows gives the same."""
    return Tally(
        np.bincount(key, minlength=n_keys),
        np.bincount(key[liked.astype(bool)], minlength=n_keys),
    )


@dataclass(frozen=True)
class StepCounts:
    """Counts by step and key, sparse, in the order (step, key).

    Attributes:
        n_keys: number of keys.
        offsets: where each step begins, int64, shape (n_steps + 1,).
        key: uint32, shape (n,).
        shown: uint8 to uint32, as the highest count needs, shape (n,).
        liked: the same.
    """

    n_keys: int
    offsets: np.ndarray
    key: np.ndarray
    shown: np.ndarray
    liked: np.ndarray

    @property
    def n_steps(self) -> int:
        """Steps from the log's origin to its end."""
        return len(self.offsets) - 1

    @classmethod
    def of(cls, tallies: Iterable[Tally], n_keys: int) -> StepCounts:
        """Counts from one dense tally a step."""
        offsets, keys, shown, liked = [0], [], [], []
        for step in tallies:
            key = np.flatnonzero(step.shown)
            keys.append(key.astype(np.uint32))
            shown.append(_narrow(step.shown[key]))
            liked.append(_narrow(step.liked[key]))
            offsets.append(offsets[-1] + len(key))
        columns = (np.concatenate([*c, np.empty(0, np.uint8)]) for c in (keys, shown, liked))
        return cls(n_keys, np.array(offsets, dtype=np.int64), *columns)

    @classmethod
    def merged(cls, parts: Sequence[StepCounts]) -> StepCounts:
        """The sum of counts of disjoint rows."""
        n_keys, n_steps = parts[0].n_keys, parts[0].n_steps
        return cls.of(
            (_sum([p.at(step) for p in parts], n_keys) for step in range(n_steps)), n_keys
        )

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Key, shown and liked of one step."""
        rows = slice(int(self.offsets[step]), int(self.offsets[step + 1]))
        return self.key[rows], self.shown[rows], self.liked[rows]

    def before(self, step: int, since: int = 0) -> Tally:
        """Counts of the steps [since, step), int64, shape (n_keys,)."""
        rows = slice(int(self.offsets[since]), int(self.offsets[step]))
        weighted = (self._sum(rows, column[rows]) for column in (self.shown, self.liked))
        return Tally(*(w.astype(np.int64) for w in weighted))

    def first_steps(self) -> np.ndarray:
        """The step at which each key was first counted; `n_steps` if never. Shape (n_keys,)."""
        first = np.full(self.n_keys, self.n_steps, dtype=np.int64)
        step = np.repeat(np.arange(self.n_steps), np.diff(self.offsets))
        np.minimum.at(first, self.key, step)
        return first

    def _sum(self, rows: slice, weight: np.ndarray) -> np.ndarray:
        return np.bincount(self.key[rows], weights=weight, minlength=self.n_keys)

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>_{offsets,key,shown,liked}.npy`."""
        for column in ("offsets", "key", "shown", "liked"):
            np.save(directory / f"{name}_{column}.npy", getattr(self, column))

    @classmethod
    def load(cls, place: Place, name: str, n_keys: int) -> StepCounts:
        """Counts written by `save`."""
        columns = ("offsets", "key", "shown", "liked")
        return cls(n_keys, *(read_array(place / f"{name}_{c}.npy") for c in columns))


def _sum(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], n_keys: int) -> Tally:
    key, shown, liked = (np.concatenate(column) for column in zip(*parts))
    return Tally(
        np.bincount(key, weights=shown, minlength=n_keys).astype(np.int64),
        np.bincount(key, weights=liked, minlength=n_keys).astype(np.int64),
    )


def smallest_uint(highest: int) -> np.dtype:
    """The narrowest unsigned type that holds 0 to `highest`."""
    return np.dtype(np.min_scalar_type(max(highest, 0)))


def _narrow(counts: np.ndarray) -> np.ndarray:
    return counts.astype(smallest_uint(int(counts.max(initial=0))))


class UserCounts:
    """Impressions and likes of a few users by group of posts, learned step after step.

    One grouping is one partition of the posts, such as clusters or topics. Training feeds a whole
    bucket's users step by step, serving one user's history at once: the counts are integers, so
    both arrive at the same numbers.

    Args:
        n_users: users, known by their row within these.
        groupings: by name, the group of each post and the number of groups; some may be empty.
    """

    def __init__(self, n_users: int, groupings: dict[str, tuple[np.ndarray, int]]) -> None:
        self.n_users = n_users
        self._groupings = {name: group for name, (group, _) in groupings.items()}
        self._n_groups = {name: n_groups for name, (_, n_groups) in groupings.items()}
        self._tallies = {
            name: Tally(*np.zeros((2, n_users * n), dtype=np.int64))
            for name, n in self._n_groups.items()
        }

    def update(self, user: np.ndarray, post: np.ndarray, liked: np.ndarray) -> None:
        """Learn impressions; `user` counts from 0 within these users."""
        for name, group in self._groupings.items():
            n_groups = self._n_groups[name]
            key = user.astype(np.int64) * n_groups + group[post]
            self._tallies[name] += tally(key, liked, self.n_users * n_groups)

    def of(self, grouping: str) -> Tally:
        """Counts by user and group, int64, shape (n_users, n_groups)."""
        return self._tallies[grouping].reshape(self.n_users, self._n_groups[grouping])


class PairCounts:
    """How often a user was shown, and liked, the very same post before.

    An index over fixed rows that answers for any step: rows of that step or later do not count.
    """

    def __init__(
        self, user: np.ndarray, post: np.ndarray, step: np.ndarray, liked: np.ndarray, n_posts: int
    ) -> None:
        self._n_posts = n_posts
        self._n_steps = int(step.max(initial=0)) + 1
        key = self._key(user, post, step)
        order = np.argsort(key, kind="stable")
        self._keys = key[order]
        self._likes = np.concatenate([[0], np.cumsum(liked[order], dtype=np.int64)])

    def before(self, user: np.ndarray, post: np.ndarray, step: int) -> Tally:
        """Earlier impressions and likes of each pair, int64, shape (n,)."""
        first = np.searchsorted(self._keys, self._key(user, post, 0))
        last = np.searchsorted(self._keys, self._key(user, post, min(step, self._n_steps)))
        return Tally(last - first, self._likes[last] - self._likes[first])

    def _key(self, user: np.ndarray, post: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        pair = user.astype(np.int64) * self._n_posts + post
        return pair * (self._n_steps + 1) + step
