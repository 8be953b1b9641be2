"""How this process asks the system for memory."""

from __future__ import annotations

import ctypes

# Names and numbers of glibc's malloc.h; the second is the most that it takes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST_OF_HEAP = 1 << 30, 1 << 25


def keep_freed_memory() -> None:
    """Let memory that one chunk frees be there for the next.

    By default glibc hands arrays of a chunk's size back to the system, which then clears every
    page anew: a sixteenth of the processor time of an extract. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, LARGEST_OF_HEAP)
