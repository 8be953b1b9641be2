"""Frame of every stage: one writer, log lines, one thread of algebra, errors as messages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import FeedrankError
from feedrank.io.progress import log_to_stderr
from feedrank.io.writer_lock import LOCK, one_writer


def run(main: Callable[[], None]) -> None:
    """Run a stage; a `FeedrankError` becomes `error: ...` on stderr and exit code 1.

    Ctrl-C ends a stage with the exit code of a shell, 130, and no traceback either.
    """
    log_to_stderr()
    one_thread_of_algebra()
    try:
        with one_writer(LOCK):
            main()
    except KeyboardInterrupt:
        logging.error("error: interrupted. Run again to go on.")
        sys.exit(130)
    except FeedrankError as error:
        logging.error("error: %s", error)
        sys.exit(1)
