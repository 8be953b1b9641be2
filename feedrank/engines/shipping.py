"""Shipping of a function to worker processes: its large arrays lie in a file that all of them map.

Sent as bytes, the arrays of a feature store are in memory once a worker, and twice while they are
on their way.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import reduction
from tempfile import TemporaryFile
from typing import IO, Any

LEAST = 1 << 16  # bytes of an array that goes by the file: 16 pages


@contextmanager
def shipped(function: Callable[..., Any]) -> Iterator[Any]:
    """What becomes the function again when it is sent to a worker, who may write to its arrays.

    Windows hands no open file to a process: there the function is sent as it is.
    """
    if sys.platform == "win32":
        yield function
        return
    with TemporaryFile() as file:
        yield _Shipped(function, file)


class _Shipped:
    def __init__(self, function: Callable[..., Any], file: IO[bytes]) -> None:
        self._file = file
        self._spans: list[tuple[int, int]] = []
        self._pickled = pickle.dumps(function, 5, buffer_callback=self._is_sent)
        self._file.flush()

    def _is_sent(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer goes with the function's bytes; else it is in the file now."""
        view = buffer.raw()
        if view.nbytes < LEAST:
            return True
        start = -(-self._file.tell() // mmap.PAGESIZE) * mmap.PAGESIZE
        self._file.seek(start)
        self._file.write(view)
        self._spans.append((start, start + view.nbytes))
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        return _function_of, (reduction.DupFd(self._file.fileno()), self._spans, self._pickled)


def _function_of(file: Any, spans: list[tuple[int, int]], pickled: bytes) -> Callable[..., Any]:
    """The function, in a worker: pages of its arrays are copied when it writes to them."""
    descriptor = file.detach()
    pages = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY) if spans else b"")
    os.close(descriptor)
    function: Callable[..., Any] = pickle.loads(pickled, buffers=[pages[a:b] for a, b in spans])
    return function
