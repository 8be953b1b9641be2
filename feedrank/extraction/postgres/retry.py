"""Trying again when a connection breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from feedrank.extraction.postgres.connection import ConnectionLost
from feedrank.io.progress import say

ATTEMPTS = 6
T = TypeVar("T")


def retrying(call: Callable[[], T], unless: type[Exception] | tuple[()] = ()) -> T:
    """The call's result; it is made again, later and later, when a connection breaks.

    Args:
        call: what is tried.
        unless: breaks of this kind are not tried again.

    Raises:
        ConnectionLost: it broke at every attempt, the last time like this.
    """
    attempts = Retrying(
        retry=retry_if_exception(
            lambda e: isinstance(e, ConnectionLost) and not isinstance(e, unless)
        ),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        before_sleep=_say,
        reraise=True,
    )
    return attempts(call)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0
    say(f"{error} Trying again in {wait:.1f} s.")
