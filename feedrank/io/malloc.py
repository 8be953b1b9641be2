"""Freed memory: when it goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Names and numbers of glibc's malloc.h. 32 MB is the largest threshold that glibc takes; freed
# memory up to 1 GB is kept, more than the 0.7 GB of an extract of full size.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST_OF_HEAP = 1 << 30, 1 << 25


def keep_freed_memory() -> None:
    """Keep memory that one chunk frees for the next one; without glibc, do nothing.

    By default glibc returns arrays of a chunk's size to the system, which clears every page again:
    a sixteenth of the processor time of an extract.
    """
    mallopt = _of_libc("mallopt")
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, LARGEST_OF_HEAP)


def return_freed_memory() -> None:
    """Hand freed memory back to the system: Arrow's, and the C library's where it can (glibc).

    Without it, a service that has swapped the demo's artifact eight times holds 536 MB, with it
    362 MB; a sum of counts by 13,000 steps leaves .7 GB of small arrays beside .35 GB in use; and
    at the reference size `validate` keeps .4 GB of log files that it has read.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_libc(name: str) -> Any:
    """A function of the C library that this process runs on; None where it has none of the name."""
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)
