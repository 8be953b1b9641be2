"""Writer lock: outputs have one writer at a time, and a second one is told who the first is."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from feedrank.errors import FeedrankError
from feedrank.io.files import unwritable

LOCK = Path("data/.lock")  # of stages and experiments: one may read what another would replace


class HeldError(FeedrankError):
    """Another process holds the lock."""


@contextmanager
def one_writer(lock: Path) -> Iterator[None]:
    """Hold a lock file for as long as outputs are written.

    The kernel releases the lock when its holder ends, however it ends; the file itself stays, since
    a process that removed it could remove the lock of another. Processes that the holder starts
    do not inherit it.

    Args:
        lock: file beside the outputs; it is created, and holds the name of its last holder.

    Raises:
        HeldError: another process holds the lock.
        FeedrankError: its file cannot be written.
    """
    file = _opened(lock)
    try:
        _take(file, lock)
        yield
    finally:
        os.close(file)


def _opened(lock: Path) -> int:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FeedrankError(f"the lock {unwritable(error, str(lock)) or error}") from error


def _take(file: int, lock: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 4096, 0).decode(errors="replace").strip() or "one that just began"
        raise HeldError(
            f"another process writes beside '{lock}': {holder}. Two writers would spoil each "
            "other's outputs, so nothing was begun: wait for its end, or stop it, and run again."
        ) from None
    os.ftruncate(file, 0)
    with suppress(OSError):  # on a full disk the lock holds all the same, without a name
        os.pwrite(file, _name_of_this_process().encode(), 0)


def _name_of_this_process() -> str:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    # Program and module alone: what follows may be code, or hold a password.
    program, *words = sys.orig_argv
    command = shlex.join([program, *words[: 2 if "-m" in words[:1] else 1]])
    return f"process {os.getpid()} on {socket.gethostname()} since {since}, `{command}`\n"


@contextmanager
def turn(directory: Path) -> Iterator[None]:
    """Wait for one's turn among the processes that share a directory."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
