"""Retries of calls whose connection breaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from feedrank.extraction.postgres.driver_errors import ConnectionLost

# Waits of up to 0.5, 1, 2, 4 and 8 s: a restart of a server takes a few seconds.
ATTEMPTS = 6
T = TypeVar("T")
logger = logging.getLogger(__name__)


def retrying(call: Callable[[], T], unless: type[Exception] | tuple[()] = ()) -> T:
    """The call's result; after a lost connection it is called again, with growing random waits.

    Args:
        call: may raise `ConnectionLost`.
        unless: errors of this kind are raised at once.

    Raises:
        ConnectionLost: of the last attempt.
    """
    attempts = Retrying(
        retry=retry_if_exception(
            lambda e: isinstance(e, ConnectionLost) and not isinstance(e, unless)
        ),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        before_sleep=_log,
        reraise=True,
    )
    return attempts(call)


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0
    logger.warning("extract: %s Trying again in %.1f s.", error, wait)
