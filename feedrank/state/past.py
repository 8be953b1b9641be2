"""Past: impressions of each request's user strictly before the step of the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Tuple

import numpy as np

from feedrank.state.catalogue import NOBODY

Before = Callable[[int, int], Tuple[np.ndarray, np.ndarray, np.ndarray]]


class Latest(NamedTuple):
    """The latest impressions of requests, the newest in the last column.

    Attributes:
        post: row of the post, -1 where the user has no further impression, int32, shape (n, width).
        age: steps since the impression, 1 or more; 0 where there is none, same type and shape.
        liked: 0 or 1; 0 where there is none, same type and shape.
    """

    post: np.ndarray
    age: np.ndarray
    liked: np.ndarray


@dataclass(frozen=True)
class Past:
    """Pasts of several requests.

    Attributes:
        before: post, step and liked of a user's impressions strictly before a step, in order.
        user: row of each request's user, or `NOBODY`, shape (n_requests,).
        step: of each request, shape (n_requests,).
    """

    before: Before
    user: np.ndarray
    step: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, requests: np.ndarray) -> Past:
        return Past(self.before, self.user[requests], self.step[requests])

    def latest(self, width: int) -> Latest:
        """At most `width` impressions of each request."""
        found = np.zeros((3, len(self), width), dtype=np.int32)
        found[0] = -1
        for i, (user, step) in enumerate(zip(self.user.tolist(), self.step.tolist())):
            if user == NOBODY:
                continue
            post, shown, liked = (column[-width:] for column in self.before(user, step))
            n = len(post)
            found[:, i, width - n :] = post, step - shown.astype(np.int64), liked
        return Latest(*found)
