"""Atomic writes: files and directories that are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from pathlib import Path
from stat import S_IMODE, S_ISDIR

from feedrank.errors import FeedrankError

REMEDIES = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space, or raise the quota",
    errno.EFBIG: "Raise the limit on the size of a file (`ulimit -f`)",
    errno.EROFS: "Mount the file system for writing",
    errno.EACCES: "Give this user the right to it",
    errno.EPERM: "Give this user the right to it",
    errno.EXDEV: "Mount the folder that holds it, not the output alone",
    errno.EBUSY: "Mount the folder that holds it, not the output alone",
}
# numpy's `tofile` says how much it wrote, without the system's number: the disk is full.
SHORT = re.compile("requested and")
OF_A_COPY = re.compile(r"\[Errno (\d+)\]")  # `shutil` makes one error without a number of many


def unwritable(error: OSError, place: str) -> str | None:
    """What cannot be written and the remedy, as two sentences; None if the disk is not to blame.

    Args:
        error: of the system, or of `shutil.copytree`.
        place: to name where the error names none.
    """
    number, text = error.errno, str(error)
    if isinstance(error, shutil.Error):
        found = OF_A_COPY.search(text)
        number = int(found[1]) if found else None
    elif number is None and SHORT.search(text):
        number = errno.ENOSPC
    if (remedy := REMEDIES.get(number or 0)) is None:
        return None
    reason = text if number is None else os.strerror(number)
    return f"cannot be written: {reason}, at '{error.filename or place}'. {remedy} and run again."


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file of one or more parts so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_directory(directory: Path, new: Path) -> None:
    """Put a new directory, of the same file system, in the place of another; its files are on disk.

    A process killed between the two renames leaves the previous one beside its place, from where
    `recover_directory` restores it.
    """
    previous = _previous(directory)
    shutil.rmtree(previous, ignore_errors=True)
    if directory.exists():
        directory.rename(previous)
    directory.parent.mkdir(parents=True, exist_ok=True)
    new.rename(directory)
    flush(directory.parent)
    shutil.rmtree(previous, ignore_errors=True)


def recover_directory(directory: Path) -> None:
    """Restore the directory that a killed `replace_directory` set aside, if its place is empty."""
    previous = _previous(directory)
    if previous.exists() and not directory.exists():
        previous.rename(directory)


def _previous(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.previous")


def flush(path: Path) -> None:
    """Ask for a file or directory to be on disk, so that a loss of power cannot empty it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def private_directory(directory: Path) -> Path:
    """The same path: a directory of this user with mode 700, made if nothing is there.

    Files in any other could be another user's. Root may use a directory of the user it serves.

    Raises:
        FeedrankError: it cannot be made, or is a link, another user's, or open to others.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise FeedrankError(
            f"'{directory}' cannot be used ({error.strerror}). Make room or give this user the "
            "right to it, or choose another directory (the service's is FEEDRANK_STATE)."
        ) from error
    mode, is_ours = S_IMODE(found.st_mode), os.getuid() in (0, found.st_uid)
    # Below a folder of a group (setgid), every directory has one bit more, which opens nothing.
    if not S_ISDIR(found.st_mode) or not is_ours or mode & 0o777 != 0o700:
        raise FeedrankError(
            f"'{directory}' must be a directory of user {os.getuid()} alone, mode 700; it belongs "
            f"to user {found.st_uid}, mode {mode:o}. If it is yours, run `chmod 700 {directory}`; "
            "else choose another directory (the service's is FEEDRANK_STATE)."
        )
    return directory


def state_directory() -> Path:
    """FEEDRANK_STATE, or one that all commands find, and that no other user could make before.

    Raises:
        FeedrankError: the variable is unset, and this user has no home directory.
    """
    if named := os.environ.get("FEEDRANK_STATE"):
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FeedrankError(
            f"user {os.getuid()} has no home directory for the service's state. Set HOME, or "
            "FEEDRANK_STATE to a directory of this user alone."
        ) from error
    return home / ".local" / "state" / "feedrank"
