"""Frame of every stage: one writer, log lines, one thread of algebra, errors as messages."""

from __future__ import annotations

import sys
from collections.abc import Callable

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import command
from feedrank.io.progress import log_to_stderr
from feedrank.io.writer_lock import LOCK, one_writer


def run(main: Callable[[], None]) -> None:
    """Run a stage as a command, one at a time."""
    log_to_stderr()
    one_thread_of_algebra()
    sys.exit(_alone(main))


@command()
def _alone(main: Callable[[], None]) -> None:
    with one_writer(LOCK):
        main()
