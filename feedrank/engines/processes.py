"""The same function over all parts of the work, buckets or requests, in a few processes."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from feedrank.errors import FeedrankError

R = TypeVar("R")


def n_workers() -> int:
    """`FEEDRANK_WORKERS`, or the processors this process may use; results do not depend on it."""
    named = os.environ.get("FEEDRANK_WORKERS", "")
    if named and not (named.isdecimal() and int(named) > 0):
        raise FeedrankError(f"FEEDRANK_WORKERS is '{named}'; set a whole number above 0.")
    if named:
        return int(named)
    # Only Linux tells which processors a process may use.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def map_parts(
    function: Callable[[int], R], n_parts: int, words: str, workers: int | None = None
) -> Iterator[R]:
    """`function` of every part's number, in order, with a progress bar on a terminal.

    Where `words` are empty, who calls it tells of the progress. An error of one worker is raised
    here as itself; a worker that was killed, for want of memory for instance, is an error that
    says so.
    """
    workers = min(workers or n_workers(), n_parts)
    if workers == 1:
        yield from _progress(map(function, range(n_parts)), n_parts, words)
        return
    with ProcessPoolExecutor(workers, _context(function), _take, (function,)) as pool:
        try:
            yield from _progress(pool.map(_call, range(n_parts)), n_parts, words)
        except BrokenProcessPool as error:
            raise FeedrankError(
                f"a worker was killed while {words or 'at work'}, most likely for want of memory. "
                "Set FEEDRANK_WORKERS=1, or raise 'extract.buckets' so that one bucket holds less."
            ) from error


_function: Callable[[int], Any]


def _take(function: Callable[[int], Any]) -> None:
    """Keep the function in a worker: it carries arrays, so it crosses once, not once a part."""
    global _function
    _function = function
    one_thread_of_algebra()


def one_thread_of_algebra() -> None:
    """Sums of matrix products depend on the number of threads in their last bits: take one.

    At these sizes it is faster as well: a shared state is derived in half the time.
    """
    threadpool_limits(1, user_api="blas")


def _context(function: Callable[[int], R]) -> multiprocessing.context.BaseContext:
    """Processes forked from a server that has imported the function's module, once for all."""
    context = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
    context.set_forkserver_preload([getattr(function, "func", function).__module__])
    return context


def _call(part: int) -> Any:
    return _function(part)


def _progress(results: Iterator[R], n_parts: int, words: str) -> Iterator[R]:
    """With a bar on a terminal, and elsewhere a line, so that nobody takes the work for a hang."""
    if not words:
        return results
    if not sys.stderr.isatty():
        print(f"{words}: {n_parts} parts", file=sys.stderr, flush=True)
    return iter(tqdm(results, total=n_parts, desc=words, disable=not sys.stderr.isatty()))
