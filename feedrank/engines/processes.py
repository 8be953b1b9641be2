"""Process pool: one function over all parts of the work, buckets or requests."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from feedrank.engines.shipping import shipped
from feedrank.errors import FeedrankError
from feedrank.io.malloc import return_freed_memory
from feedrank.io.progress import tracked

R = TypeVar("R")
logger = logging.getLogger(__name__)


def n_workers() -> int:
    """`FEEDRANK_WORKERS`, or the processors this process may use; results do not depend on it."""
    named = os.environ.get("FEEDRANK_WORKERS", "")
    if named and not (named.isdecimal() and int(named) > 0):
        raise FeedrankError(f"FEEDRANK_WORKERS is '{named}'; set a whole number above 0.")
    if named:
        return int(named)
    # Only Linux lists the processors that a process may use.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def map_parts(
    function: Callable[[int], R], n_parts: int, words: str, workers: int | None = None
) -> Iterator[R]:
    """Answers of `function` for the numbers 0 to `n_parts` - 1, in order.

    Args:
        function: is sent to each worker once, so it may carry arrays (`shipped`).
        n_parts: number of parts.
        words: name of the step, for progress and errors; empty: no progress.
        workers: number of processes; `n_workers()` by default.

    Raises:
        FeedrankError: a worker was killed, for want of memory for instance. An error of `function`
            is raised as itself.
    """
    return_freed_memory()  # of the step before, beside which the workers' own would stand
    workers = min(workers or n_workers(), n_parts)
    if workers == 1:
        yield from _progress(map(function, range(n_parts)), n_parts, words)
        return
    pool_of = partial(ProcessPoolExecutor, workers, _context(function), _take)
    with shipped(function) as sent, pool_of((sent,)) as pool:
        try:
            yield from _progress(pool.map(_call, range(n_parts)), n_parts, words)
        except BrokenProcessPool as error:
            raise FeedrankError(
                f"a worker was killed while {words or 'at work'}, most likely for want of memory. "
                "Set FEEDRANK_WORKERS=1, or raise 'extract.buckets' so that one bucket holds less."
            ) from error


_function: Callable[[int], Any]


def _take(function: Callable[[int], Any]) -> None:
    """Keep the function in a worker, so that its arrays are sent once, not once a part."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the server ignores
    # Of k-means too: where each processor has its worker, two threads spin while they wait for one.
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the process that started the pool is gone, however it ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def one_thread_of_algebra() -> None:
    """Limit BLAS to one thread: sums of matrix products depend on the number in their last bits.

    At these sizes one is faster as well: a shared state is derived in half the time.
    """
    threadpool_limits(1, user_api="blas")


def import_ahead(*modules: str) -> None:
    """Start the server of worker processes, which imports modules while this process does."""
    with suppress(FeedrankError):  # of a wrong number of workers, which the first pool tells
        if sys.platform != "win32" and n_workers() > 1:
            multiprocessing.get_context("forkserver").set_forkserver_preload([*modules])
            # The server inherits that it ignores Ctrl-C: this process's traceback says enough.
            kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
            forkserver.ensure_running()
            signal.signal(signal.SIGINT, kept)


def _context(function: Callable[[int], R]) -> multiprocessing.context.BaseContext:
    """Processes forked from a server that has imported what they need, once for all pools."""
    context = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
    # The first pool starts the server, for all later ones too: it imports what this process has
    # imported of the project, lest each worker of each pool does so again.
    ours = sorted(name for name in sys.modules if name.startswith("feedrank."))
    context.set_forkserver_preload([getattr(function, "func", function).__module__, *ours])
    return context


def _call(part: int) -> Any:
    found = _function(part)
    return_freed_memory()
    return found


def _progress(results: Iterator[R], n_parts: int, words: str) -> Iterator[R]:
    """The results, with a bar, or a line first: a long step must not look stuck."""
    if words and not sys.stderr.isatty():
        logger.info("%s: %d parts", words, n_parts)
    return tracked(results, n_parts, words)
