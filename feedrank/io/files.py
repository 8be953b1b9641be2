"""Files and directories that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    """Put a new directory, of the same file system, in the place of another.

    A process killed between the two renames leaves the former one beside its place, from where
    `recover_directory` brings it back.
    """
    for path in sorted(new.rglob("*")):
        _flush(path)
    former = _former(directory)
    shutil.rmtree(former, ignore_errors=True)
    if directory.exists():
        directory.rename(former)
    directory.parent.mkdir(parents=True, exist_ok=True)
    new.rename(directory)
    _flush(directory.parent)
    shutil.rmtree(former, ignore_errors=True)


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """An empty directory to fill, which takes the place of another once it is whole."""
    new = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        replace_directory(directory, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def replace_files(directory: Path, new: Path) -> None:
    """Move all files of a new directory, of the same file system, into another."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in new.iterdir():
        path.replace(directory / path.name)
    new.rmdir()


def recover_directory(directory: Path) -> None:
    """Bring back what a killed `replace_directory` put aside, if its place is empty."""
    former = _former(directory)
    if former.exists() and not directory.exists():
        former.rename(directory)


def _former(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.former")


def _flush(path: Path) -> None:
    """Ask for a file or directory to be on disk, so that a loss of power cannot empty it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
