"""Follower: polls the source and appends to the delta log what is new, whatever fails between."""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from feedrank.errors import FeedrankError
from feedrank.extraction.postgres.connection import Source, Transaction
from feedrank.extraction.relations import relations
from feedrank.live.delta_log import DeltaLog
from feedrank.params import Params
from service.follower.base import Base
from service.follower.catalogue_rows import PostRows, UserRows
from service.follower.feed_rows import BATCH, FeedRows, feed_queries
from service.follower.session import Session, moment
from service.follower.status import FollowerStatus
from service.live.retention import drop_held

logger = logging.getLogger("feedrank.service")
# After a poll the source rests for so many times as long as the poll took, so that a table which
# must be read whole takes a tenth of one of its processes.
REST = 9
LEAST_REST_SECONDS, MOST_REST_SECONDS = 0.05, 30.0  # a trigger may notify at every row
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 30.0  # doubled each time between


@dataclass(frozen=True)
class FollowerSettings:
    """How a source is followed.

    Attributes:
        artifacts: links of the served artifacts.
        overlap: seconds by which a row may come later than rows of a later moment.
        poll_seconds: between two polls, if no notification comes.
    """

    artifacts: tuple[Path, ...]
    overlap: float
    poll_seconds: float

    def base(self) -> tuple[Path, ...]:
        """The directories that the links name now."""
        return tuple(link.resolve() for link in self.artifacts)


class Readers:
    """Readers of the tables, as they were described at one moment.

    Raises:
        SchemaError: a table or column is missing, or of a type that cannot be read.
    """

    def __init__(
        self, transaction: Transaction, params: Params, log: DeltaLog, settings: FollowerSettings
    ) -> None:
        users, posts, _ = relations(transaction, params.source)
        self.base = Base.of(settings.base())
        self._users = UserRows(users, params, log, self.base)
        self._posts = PostRows(posts, params, log, self.base)
        queries = feed_queries(transaction, params)
        self._feed = [FeedRows(query, log, settings.overlap) for query in queries]

    def poll(self, transaction: Transaction) -> int:
        """Append all that is new; how many events are."""
        at = moment(transaction)
        # Users and posts first, so that their events find them.
        self._users.poll(transaction, at)
        self._posts.poll(transaction, at)
        return sum(feed.poll(transaction, at, self.base.since) for feed in self._feed)


class Follower:
    """Follows one source into one delta log, until the process ends.

    Args:
        source: the database.
        params: groups `source` and `extract` of `params.yaml`, as the extract used them.
        path: of the delta log, which takes what is new.
        settings: how it is followed.
    """

    def __init__(
        self, source: Source, params: Params, path: Path, settings: FollowerSettings
    ) -> None:
        self._source, self._params, self._path, self._settings = source, params, path, settings
        self._n_failures = 0
        self.status = FollowerStatus(os.getpid(), time.time())

    def run(self) -> None:
        """Follow for ever; an error ends a connection, and is tried again with growing waits."""
        self._tell()
        while True:
            try:
                with (
                    closing(DeltaLog(self._path)) as log,
                    Session.opened(self._source) as session,
                ):
                    self.follow(session, log)
            except FeedrankError as error:
                time.sleep(self._failed(error))

    def follow(self, session: Session, log: DeltaLog) -> None:
        """Follow on one connection, until the link of an artifact or the delta log moves."""
        with session.transaction() as transaction:
            readers = Readers(transaction, self._params, log, self._settings)
        drop_held(log, self._settings.artifacts)
        while log.is_there and readers.base.directories == self._settings.base():
            began, clock = time.time(), time.monotonic()
            with session.transaction() as transaction:
                n_events = readers.poll(transaction)
            self._caught_up(began, n_events)
            took = time.monotonic() - clock
            if n_events < BATCH:  # else more have come meanwhile
                time.sleep(min(max(LEAST_REST_SECONDS, REST * took), MOST_REST_SECONDS))
                session.wait(self._settings.poll_seconds)

    def _caught_up(self, at: float, n_events: int) -> None:
        if self._n_failures:
            logger.info("following again", extra={"events": n_events})
        self._n_failures = 0
        n_events += self.status.n_events
        self.status = replace(self.status, caught_up_at=at, n_events=n_events, error=None)
        self._tell()

    def _tell(self) -> None:
        """Write the status; on a full disk it gets old, as the delta log does."""
        with suppress(OSError):
            self.status.write(self._path)

    def _failed(self, error: FeedrankError) -> float:
        """Say why a poll failed, once a reason; seconds to wait."""
        if self.status.error != str(error):
            extra = {"reason": str(error), "behind_seconds": self.status.behind_seconds()}
            logger.error("following failed", extra=extra)
        self.status = replace(self.status, error=str(error))
        self._tell()
        self._n_failures += 1
        # The power is bounded, for a source that is away for days.
        growth = 2 ** min(self._n_failures - 1, 10)
        return min(FIRST_RETRY_SECONDS * growth, LAST_RETRY_SECONDS)
