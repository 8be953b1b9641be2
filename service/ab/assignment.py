"""Assignment of users to the arms of an A/B test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from feedrank.log.exposures import Arm
from feedrank.state.catalogue import Id


@dataclass(frozen=True)
class Assignment:
    """Stable assignment of users to arms by a hash.

    A user is in the same arm on every worker and after every restart. Another salt gives an
    independent assignment; a larger test share only moves users from control to test.

    Attributes:
        salt: of the hash.
        test_share: of the users in the arm `test`.
    """

    salt: str
    test_share: float

    def arm(self, user_id: Id) -> Arm:
        """Arm of a user, from the first 64 bits of SHA-256 over salt and id."""
        digest = hashlib.sha256(f"{self.salt}:{user_id}".encode()).digest()
        return "test" if int.from_bytes(digest[:8], "big") < self.test_share * 2**64 else "control"

    def probability(self, arm: Arm) -> float:
        """Assignment probability: share of the users in an arm."""
        return self.test_share if arm == "test" else 1 - self.test_share
