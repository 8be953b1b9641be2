"""Window: the part of a relation that may hold rows which no poll has seen."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field

from service.follower.session import Moment


@dataclass
class Window:
    """From where on a poll must read.

    A row that a poll did not see is of a transaction that was open then or began later. Such a
    transaction began after some earlier poll, and its rows lie behind the place that this earlier
    poll had reached, less a slack. So a transaction that stays open for an hour costs a longer
    window, and no row.

    Attributes:
        relation: numbers of the table and of its file, and 1 for places that are blocks, 0 for
            seconds; after a change of one the relation is read again.
        since: second of the log's clock from which the relation is read.
        last: the moment of the last poll.
    """

    relation: tuple[int, int, int]
    since: int
    last: Moment
    _starts: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def start(self) -> int:
        """The place from which the next poll reads."""
        return self._starts[0][1]

    @property
    def reached(self) -> int:
        """The place from which rows of transactions that begin now are read."""
        return self._starts[-1][1]

    def polled(self, at: Moment, start: int) -> None:
        """Note a whole poll; rows of transactions that begin after it lie behind `start`."""
        self.last = at
        self._starts.append((at.next, start))
        while len(self._starts) > 1 and self._starts[1][0] <= at.oldest:
            self._starts.popleft()

    def fits(self, relation: tuple[int, int, int], since: int, at: Moment) -> bool:
        """Whether it is of this relation, from `since` on, and not of a database since replaced."""
        return self.relation == relation and self.since <= since and self.last.oldest <= at.oldest

    def text(self) -> str:
        """As the delta log keeps it."""
        last = [self.last.oldest, self.last.next]
        return json.dumps([*self.relation, self.since, *last, self.start])

    @classmethod
    def of_text(cls, text: str) -> Window:
        """The window that `text` gave."""
        oid, file, by_blocks, since, oldest, following, start = json.loads(text)
        last = Moment(oldest, following)
        return cls((oid, file, by_blocks), since, last, deque([(0, start)]))
