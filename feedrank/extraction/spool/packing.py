"""Packing of an impression into one whole number; numbers sort as the log does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feedrank.errors import ParamsError
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY

BITS = 64


@dataclass(frozen=True)
class Packing:
    """Layout of time, user, post and label, from the top of 64 bits.

    Sorting the numbers sorts impressions by (at, user, post, liked) in one pass, and an impression
    takes eight bytes on disk.
    """

    user_bits: int
    post_bits: int

    @classmethod
    def fitting(cls, days: int, users_a_bucket: int, n_posts: int) -> Packing:
        """The packing for a log of some size.

        Raises:
            ParamsError: a bucket holds too many users.
        """
        packing = cls(_bits(users_a_bucket), _bits(n_posts))
        at_bits = _bits(days * SECONDS_A_DAY)
        if at_bits + packing.user_bits + packing.post_bits + 1 > BITS:
            raise ParamsError(
                f"a bucket of {users_a_bucket} users, {n_posts} posts and {days} days is too "
                "large. Raise 'extract.buckets'."
            )
        return packing

    def pack(
        self, at: np.ndarray, user: np.ndarray, post: np.ndarray, liked: np.ndarray
    ) -> np.ndarray:
        """Numbers of impressions, uint64, shape (n,).

        Args:
            at: seconds from a fixed midnight, shape (n,).
            user: rows of users counted from the bucket's first, shape (n,).
            post: rows of posts, shape (n,).
            liked: 0 or 1, shape (n,).
        """
        packed = at.astype(np.int64)
        # In place: memory for another array would cost several times more than the work itself.
        for values, bits in ((user, self.user_bits), (post, self.post_bits), (liked, 1)):
            packed <<= bits
            packed |= values
        return packed.view(np.uint64)

    def count_liked(self, packed: np.ndarray) -> int:
        """Number of liked impressions."""
        return int(np.count_nonzero(packed & np.uint64(1)))

    def by_pair(self, packed: np.ndarray) -> np.ndarray:
        """Numbers that sort by (user, post, at), uint64, shape (n,); the label is left out."""
        row, bits = packed >> np.uint64(1), np.uint64(self.user_bits + self.post_bits)
        return ((row & ((np.uint64(1) << bits) - np.uint64(1))) << self._at_bits) | (row >> bits)

    def is_within(self, shown: np.ndarray, liked: np.ndarray, window: int) -> np.ndarray:
        """Whether numbers of `by_pair` are of one pair, the second less than `window` s later."""
        is_same = shown >> self._at_bits == liked >> self._at_bits
        return is_same & (liked - shown < np.uint64(window))

    @property
    def _at_bits(self) -> np.uint64:
        return np.uint64(BITS - 1 - self.user_bits - self.post_bits)

    def unpack(self, packed: np.ndarray, first_user: int, since: int) -> Impressions:
        """Impressions of numbers, in their order; times are counted from `since` seconds on."""
        liked, post = packed & np.uint64(1), packed >> np.uint64(1)
        user = post >> np.uint64(self.post_bits)
        at = user >> np.uint64(self.user_bits)
        post &= np.uint64((1 << self.post_bits) - 1)
        user &= np.uint64((1 << self.user_bits) - 1)
        return Impressions(
            user=user.astype(np.uint32) + np.uint32(first_user),
            post=post.astype(np.uint32),
            at=at.astype(np.uint32) - np.uint32(since),
            liked=liked.astype(np.uint8),
        )


def _bits(n: int) -> int:
    """Bits that hold each of 0..n-1."""
    return max(n - 1, 0).bit_length()
