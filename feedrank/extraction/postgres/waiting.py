"""Waits for the server: log lines say what it does meanwhile, and an interruption ends its work."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from typing import Any, NoReturn, TypeVar

import psycopg2

T = TypeVar("T")
BEAT_SECONDS = 10.0  # a person looks at a silent terminal for about as long
# A server in the same network cancels, and answers a second connection, within milliseconds.
ANSWER_SECONDS, CANCEL_SECONDS = 5.0, 0.25
# `pg_blocking_pids` takes the locks' own lock, so only of a process that waits for one.
ACTIVITY = """
    SELECT pid, state, coalesce(wait_event_type || ' ' || wait_event, ''),
      round(extract(epoch FROM now() - query_start))::int,
      CASE wait_event_type WHEN 'Lock' THEN pg_blocking_pids(pid)::text ELSE '' END
    FROM pg_stat_activity WHERE pid = ANY(%s) AND state <> 'idle in transaction' ORDER BY pid"""
# A server with nothing to send does not notice that its client is gone, unless it looks: from
# PostgreSQL 14 on, and not on Windows.
CLIENT_CHECK = """SELECT set_config(name, '2s', true) FROM pg_settings
    WHERE name = 'client_connection_check_interval' AND version() !~* 'mingw|visual c'"""
logger = logging.getLogger(__name__)


class Waiting:
    """Waits for statements on the connections of one source.

    The driver gives no signal a chance while it waits for the server. A statement therefore runs in
    a thread of its own, and the thread that needs its rows waits where a signal reaches it.

    Args:
        connect: opens one more connection, which asks what the server does.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._open: list[Any] = []
        self._lock, self._beat_at = Lock(), 0.0
        self._question: Future[str] | None = None

    @contextmanager
    def open(self, connection: Any) -> Iterator[None]:
        """A connection of the driver's own, whose statements `cancel` ends while the context lasts.

        Other threads may close it meanwhile, which the driver's own connection says by its own
        error.
        """
        self._open.append(connection)
        try:
            yield
        finally:
            self._open.remove(connection)

    def result(self, call: Callable[[], T]) -> T:
        """The result of a call that waits for the server, with a log line every ten seconds."""
        since, pending = time.monotonic(), Future[T]()
        try:  # from before the thread starts: the interruption may come while it does
            _start(pending, call)
            while not wait_for([pending], BEAT_SECONDS).done:
                self._beat(time.monotonic() - since)
        except BaseException:  # Ctrl-C and SIGTERM among them
            self.end([pending])
            raise
        return pending.result()

    def end(self, pending: Sequence[Future[Any]]) -> None:
        """Cancel until these are done, for five seconds at most.

        Between two statements of a connection there is nothing to cancel, and the next one begins.
        """
        for _ in range(round(ANSWER_SECONDS / CANCEL_SECONDS)):
            self.cancel()
            if not wait_for(pending, CANCEL_SECONDS).not_done:
                return

    def cancel(self) -> None:
        """End the statements of all open connections on the server."""
        for connection in list(self._open):
            # A server that is out of reach ends them itself: `client_connection_check_interval`.
            with suppress(psycopg2.Error):
                connection.cancel()

    def _beat(self, seconds: float) -> None:
        """A line for all connections, of which several may wait."""
        with self._lock:
            now = time.monotonic()
            if now - self._beat_at >= BEAT_SECONDS / 2:
                self._beat_at = now
                logger.info("waiting for the database, %.0f s: %s.", seconds, self._activity())

    def _activity(self) -> str:
        # One question at a time: behind a full pool each would take a place in the queue.
        question = self._question or _start(Future(), self._ask)
        self._question = None if wait_for([question], ANSWER_SECONDS).done else question
        if self._question is not None:
            return (
                f"a second connection got no answer for {ANSWER_SECONDS:.0f} s. A pooler in "
                "between may have fewer connections than the 'extract.connections' + 1 that are "
                "needed: lower 'extract.connections', or enlarge its pool"
            )
        try:
            return question.result()
        except psycopg2.Error as error:
            return f"a second connection, to ask what it does, failed ({type(error).__name__})"

    def _ask(self) -> str:
        pids = [c.get_backend_pid() for c in list(self._open)]
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(ACTIVITY, (pids,))
                found = cursor.fetchall()
        finally:
            connection.close()
        return "; ".join(_words(*row) for row in found) or "its processes are not to be seen"


def _words(pid: int, state: str, event: str, seconds: int, blocking: str) -> str:
    waits = f", waits for {event}" if event else ""
    held = f", held up by the locks of process {blocking.strip('{}')}" if blocking else ""
    return f"process {pid} is {state} for {seconds} s{waits}{held}"


def settle(future: Future[T], call: Callable[[], T]) -> None:
    """Call, unless the future was cancelled; the result or the error is the future's."""
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(call())
        except BaseException as error:  # raised again where the result is asked for
            future.set_exception(error)


def _start(future: Future[T], call: Callable[[], T]) -> Future[T]:
    """`settle` in a thread that does not keep the process from ending."""
    Thread(target=settle, args=(future, call), daemon=True).start()
    return future


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the process by an exception, so that the server's work is ended too."""

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
