"""Each user's impressions in order of time, memory-mapped: three or four bytes a view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.io.arrays import Place, read_array
from feedrank.state.counts.tally import smallest_uint

NAMES = ("offsets", "post", "step", "liked")


@dataclass(frozen=True)
class History:
    """Impressions of all users, laid user by user and sorted by step.

    Attributes:
        offsets: where each user begins, int64, shape (n_users + 1,).
        post: row of the post, uint16 or uint32, shape (n,).
        step: step of the impression, uint8 to uint32, shape (n,).
        liked: one bit an impression, eight a byte, uint8, shape (ceil(n / 8),).
    """

    offsets: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray

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

    def barred(self, user: int, step: int, rule: str) -> np.ndarray:
        """Posts that a user is not shown again, of the impressions strictly before a step.

        Args:
            user: row.
            step: rows of this step or later are not known.
            rule: 'nothing', 'liked' or 'seen': what is not shown again.
        """
        if rule == "nothing":
            return self.post[:0]
        post, _, liked = self.before(user, step)
        return post if rule == "seen" else post[liked.astype(bool)]

    def some_before(
        self, step: int, most: int, most_users: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Users spread evenly, with all their impressions before a step.

        There are some `most` impressions in all at most, and `most_users` users.

        Users without any are left out, so that what follows costs nothing for those yet to come.

        Returns:
            Rows of the users, and of each impression: its user's place among these, post, liked.
        """
        known = int(np.count_nonzero(self.step < step))
        n_users = len(self.offsets) - 1
        users = np.arange(0, n_users, max(1, -(-known // most), -(-n_users // most_users)))
        parts = [self.before(user, step) for user in users.tolist()]
        post = np.concatenate([part[0] for part in parts])
        liked = np.concatenate([part[2] for part in parts])
        seen = np.array([len(part[0]) for part in parts])
        users, seen = users[seen > 0], seen[seen > 0]
        return users, np.repeat(np.arange(len(users), dtype=np.int32), seen), post, liked

    def save(self, directory: Path) -> None:
        """Write `history_*.npy`."""
        for name in NAMES:
            np.save(directory / f"history_{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, place: Place) -> History:
        """What `save` wrote."""
        return cls(*(read_array(place / f"history_{n}.npy") for n in NAMES))


def by_user(user: np.ndarray, first_user: int, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Order that lays sorted rows user by user, and impressions of each user.

    Args:
        user: of each row of one bucket, sorted by time, shape (n,).
        first_user: of the bucket.
        n_users: of the bucket.
    """
    local = user - np.uint32(first_user)
    narrow = local.astype(smallest_uint(n_users))  # 16 bits sort by radix, several times faster
    return np.argsort(narrow, kind="stable"), np.bincount(local, minlength=n_users)
