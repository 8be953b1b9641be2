"""Histories: each user's impressions in order of time, memory-mapped, and samples of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.io.arrays import Place, let_go, pieces, read_array, write_array

COLUMNS = ("offsets", "post", "step", "liked")
USERS_AT_ONCE = 512  # of a sample, before pages are let go: 100 MB of them


@dataclass(frozen=True)
class History:
    """Impressions of all users, laid user by user and sorted by step.

    Attributes:
        offsets: first impression of each user, int64, shape (n_users + 1,).
        post: row of the post, uint16 or uint32, shape (n,).
        step: step of the impression, uint8 to uint32, shape (n,).
        liked: one bit an impression, eight a byte, uint8, shape (ceil(n / 8),).
    """

    offsets: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray

    @property
    def n_shown(self) -> np.ndarray:
        """Impressions of each user, shape (n_users,)."""
        return np.diff(self.offsets)

    def before(self, user: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, step and liked of one user's impressions strictly before a step."""
        first, last = int(self.offsets[user]), int(self.offsets[user + 1])
        steps = self.step[first:last]
        last = first + int(np.searchsorted(steps, step, side="left"))
        bits = np.unpackbits(self.liked[first // 8 : last // 8 + 1])
        return (
            self.post[first:last],
            steps[: last - first],
            bits[first % 8 : first % 8 + last - first],
        )

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """User, post, step and liked (bool) of every impression, in the order of the history."""
        user = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        liked = np.unpackbits(np.asarray(self.liked))[: len(self.post)].astype(bool)
        return user, np.asarray(self.post), np.asarray(self.step), liked

    def known(self, user: int, step: int, at: int) -> tuple[np.ndarray, np.ndarray]:
        """Post and liked of the impressions that bar their posts: those strictly before a step.

        A history that is followed knows also those of the step itself, until the second `at`.
        """
        post, _, liked = self.before(user, step)
        return post, liked

    def barred(self, user: int, step: int, at: int, rule: str) -> np.ndarray:
        """Posts that a user is not shown again, given the impressions that are `known`.

        Args:
            user: row of the user.
            step: of the request.
            at: of the request, seconds since the log's origin.
            rule: 'nothing', 'liked' or 'seen' (shown), as `export.exclude` of `params.yaml`.
        """
        if rule == "nothing":
            return self.post[:0]
        post, liked = self.known(user, step, at)
        return post if rule == "seen" else post[liked.astype(bool)]

    def spread_users(self, step: int, n_impressions: int, n_users: int) -> np.ndarray:
        """Users spread evenly over those with an impression before a step, rows, shape (n,).

        There are about `n_impressions` of theirs in all at most, and `n_users` users.
        """
        of_log = len(self.offsets) - 1
        n_before = sum(int(np.count_nonzero(piece < step)) for piece in pieces(self.step))
        apart = max(1, -(-n_before // n_impressions), -(-of_log // n_users))
        users = np.arange(0, of_log, apart)
        users = users[self.offsets[users] < self.offsets[users + 1]]
        return users[self.step[self.offsets[users]] < step]

    def let_go(self) -> None:
        """Take the pages of mapped impressions out of memory.

        For each one that is read the system maps 64 kB, so that some ten thousand users have all.
        """
        let_go(self.post, self.step, self.liked)

    def save(self, directory: Path) -> None:
        """Write `history_*.npy`."""
        for name in COLUMNS:
            write_array(directory / f"history_{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, place: Place) -> History:
        """Histories that `save` wrote."""
        return cls(*(read_array(place / f"history_{n}.npy") for n in COLUMNS))


@dataclass(frozen=True)
class InteractionSample:
    """Impressions of some users, user by user, each user's in order of time.

    Attributes:
        users: rows of the users among all, shape (n_users,).
        segment: of each user, int64, shape (n_users,).
        user: place of the impression's user among these, int32, shape (n,).
        post: row of the post, uint16 or uint32, shape (n,).
        step: of the impression, uint8 to uint32, shape (n,).
        liked: bool, shape (n,).
    """

    users: np.ndarray
    segment: np.ndarray
    user: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: np.ndarray) -> InteractionSample:
        """Some of the impressions; the users stay."""
        columns = (self.user, self.post, self.step, self.liked)
        return InteractionSample(self.users, self.segment, *(c[rows] for c in columns))

    @property
    def n_users(self) -> int:
        """Users, those without an impression included."""
        return len(self.users)

    @classmethod
    def of(
        cls, history: History, users: np.ndarray, segment: np.ndarray, until: int
    ) -> InteractionSample:
        """The impressions of some users before a step.

        Args:
            history: of all users.
            users: rows, each once.
            segment: of each of these.
            until: first step that is left out.
        """
        n_shown, blocks = [np.zeros(0, np.int64)], [history.before(0, 0)]
        for first in range(0, len(users), USERS_AT_ONCE):
            some = users[first : first + USERS_AT_ONCE].tolist()
            parts = [history.before(user, until) for user in some]
            n_shown.append(np.array([len(post) for post, _, _ in parts]))
            post, step, liked = (np.concatenate(column) for column in zip(*parts))
            blocks.append((post, step, liked))
            history.let_go()
        user = np.repeat(np.arange(len(users), dtype=np.int32), np.concatenate(n_shown))
        post, step, liked = (np.concatenate(column) for column in zip(*blocks))
        return cls(users, segment, user, post, step, liked.astype(bool))
