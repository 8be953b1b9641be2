"""Progress of long steps: log lines, and bars on a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

LINE_SECONDS = 10  # between lines of progress in a log file, as few as a person can bear
T = TypeVar("T")
logger = logging.getLogger(__name__)


def log_to_stderr() -> None:
    """Show log lines of the library on stderr, bare: what a command sets up before it begins."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("feedrank").setLevel(logging.INFO)


def tracked(items: Iterable[T], total: int, words: str, unit: str = "it") -> Iterator[T]:
    """The items, with a bar on a terminal; without `words`, no bar either."""
    return iter(tqdm(items, total=total, desc=words, unit=unit, disable=None if words else True))


@contextmanager
def reading(total: int, kept: int) -> Iterator[Callable[[int], None]]:
    """A counter of impressions that are read: a bar on a terminal, else lines, and one at the end.

    Args:
        total: impressions of the source.
        kept: impressions that need not be read, since an earlier run did.
    """
    since, n_read = time.monotonic(), 0
    said_at = since
    bar = tqdm(
        total=total, initial=kept, desc="extract", unit=" rows", unit_scale=True, disable=None
    )

    def count(n: int) -> None:
        nonlocal n_read, said_at
        n_read += n
        bar.update(n)
        if bar.disable and time.monotonic() - said_at > LINE_SECONDS:
            said_at = time.monotonic()
            logger.info(f"extract: {kept + n_read:,} of {total:,} impressions are read.")

    with bar:
        yield count
    were_there = f", {kept:,} were there" if kept else ""
    if not n_read:
        logger.info("extract: nothing new to read%s.", were_there)
        return
    seconds = max(time.monotonic() - since, 1e-3)
    words = f"{n_read:,} impressions in {seconds:.1f} s ({n_read / seconds:,.0f} a second)"
    logger.info("extract: read %s%s.", words, were_there)
