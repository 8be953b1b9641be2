"""Outputs of a stage: written beside their places, and put there together at the end."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedrank.errors import FeedrankError
from feedrank.io.files import flush, recover_directory, replace_directory, unwritable


@contextmanager
def new_outputs(*places: Path) -> Iterator[dict[Path, Path]]:
    """For each output, file or directory, a path to write it to; without an error all then move.

    An output is written into a folder beside its place, so that its move is a rename within one
    file system, whatever is mounted where. The moves are the last that happens, one after another.
    A process killed between them leaves some outputs new and others as they were; the next
    `new_outputs` restores a directory that was set aside.

    Raises:
        FeedrankError: the system cannot write, with its reason, the path and the remedy.
    """
    moved: list[Path] = []
    try:
        for place in places:
            _make_room(place)
        yield {place: _room(place) / place.name for place in places}
        for place in places:
            _flush_all(_room(place) / place.name)
        for place in places:
            _move(_room(place) / place.name, place)
            moved.append(place)
    except OSError as error:
        _explain(error, places, moved)
        raise
    finally:
        for place in places:
            shutil.rmtree(_room(place), ignore_errors=True)


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """An empty directory to fill; without an error it then takes the place of another."""
    with new_outputs(directory) as new:
        new[directory].mkdir()
        yield new[directory]


def _room(place: Path) -> Path:
    return place.with_name(f".{place.name}.new")


def _make_room(place: Path) -> None:
    if place.is_mount():
        raise OSError(errno.EBUSY, "it is a mount point, which no rename replaces", str(place))
    if place.is_symlink() and not place.is_file():
        raise FeedrankError(
            f"'{place}' is a link, which a rename would replace, not follow. Remove it; the folder "
            "that holds it may be a link or a mount."
        )
    recover_directory(place)
    shutil.rmtree(_room(place), ignore_errors=True)
    _room(place).mkdir(parents=True)


def _flush_all(new: Path) -> None:
    for path in sorted([new, *new.rglob("*")]):
        flush(path)


def _move(new: Path, place: Path) -> None:
    if new.is_dir():
        replace_directory(place, new)
    else:
        new.replace(place)
        flush(place.parent)


def _explain(error: OSError, places: tuple[Path, ...], moved: list[Path]) -> None:
    """Raise a `FeedrankError` if a remedy is known; other errors are not of the disk's making."""
    where = "' or '".join(sorted({str(place.parent) for place in places}))
    if (words := unwritable(error, where)) is None:
        return
    names = ", ".join(f"'{place}'" for place in moved)
    state = f"New are {names}; all others" if moved else "All outputs"
    raise FeedrankError(f"outputs {words} {state} are as they were.") from error
