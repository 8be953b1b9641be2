"""Who gets which of two artifacts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Group = Literal["control", "test"]


@dataclass(frozen=True)
class Split:
    """A stable split of users into control and test.

    The same user is always in the same group, on every worker and after every restart; another
    salt splits the users anew and independently.

    Attributes:
        salt: of the hash.
        test_share: of the users who are in the test group.
    """

    salt: str
    test_share: float

    def group(self, user_id: int) -> Group:
        """The group of a user, from the first 64 bits of SHA-256 over salt and id."""
        digest = hashlib.sha256(f"{self.salt}:{user_id}".encode()).digest()
        return "test" if int.from_bytes(digest[:8], "big") < self.test_share * 2**64 else "control"
