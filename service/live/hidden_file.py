"""Hidden posts of a text file, an id a line: the delta log takes over what the file says."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from feedrank.errors import FeedrankError
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import Happened
from feedrank.schema import WIDEST_ID
from feedrank.state.catalogue import Id

logger = logging.getLogger("feedrank.service")
FILE = "file"  # who hides, in the delta log
MOST_NAMED = 5  # wrong lines in a warning
Identity = tuple[int, int, int]


class HiddenFile:
    """The file that FEEDRANK_HIDDEN_POSTS names; any worker takes it, with the same result.

    Args:
        path: of the file, UTF-8.
        open_log: gives the delta log.
        are_text: whether ids of posts are text.
    """

    def __init__(self, path: Path, open_log: Callable[[], DeltaLog], are_text: bool) -> None:
        self._path, self._open_log, self._are_text = path, open_log, are_text
        self._seen: Identity | None = None
        self._taken: Identity | None = None

    def poll(self) -> None:
        """Hide what the file names; open what it no longer does, once it has come to rest.

        A file that is being written may still be short, and one that is away opens nothing.

        Raises:
            FeedrankError: the file cannot be read, or the delta log cannot be written.
        """
        try:
            about = self._path.stat()
            identity = about.st_ino, about.st_size, about.st_mtime_ns
            if identity == self._taken:
                return
            lines = self._path.read_text("utf-8-sig", errors="replace").splitlines()
        except OSError as error:
            raise FeedrankError(
                f"FEEDRANK_HIDDEN_POSTS is '{self._path}', which cannot be read: {error.strerror}. "
                "Hidden posts stay as they were; to open all, make an empty file."
            ) from error
        is_at_rest, self._seen = identity == self._seen, identity
        hidden = self._ids(lines, is_at_rest)
        log = self._open_log()
        before = log.hidden_by(FILE)
        opened = before - hidden if is_at_rest else set()
        changes = [*((post, True) for post in hidden - before), *((post, False) for post in opened)]
        if changes:
            log.append(Happened(hidden=changes, hidden_by=FILE))
        if is_at_rest:
            self._taken = identity

    def _ids(self, lines: list[str], is_said: bool) -> set[Id]:
        named = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
        ids = {number: _id(line, self._are_text) for number, line in named.items()}
        wrong = [str(number) for number, post in ids.items() if post is None]
        if wrong and is_said:
            some = ", ".join(wrong[:MOST_NAMED]) + (", ..." if len(wrong) > MOST_NAMED else "")
            extra = {"file": str(self._path), "lines": some, "n_wrong": len(wrong)}
            logger.warning("hidden posts: lines that hold no id are left out", extra=extra)
        return {post for post in ids.values() if post is not None}


def _id(line: str, are_text: bool) -> Id | None:
    """The id that a line holds; None if it is none of a post."""
    if are_text:
        is_id = len(line.encode()) <= WIDEST_ID and not {"\0", "\ufffd"} & set(line)
        return line if is_id else None
    if not re.fullmatch(r"-?\d{1,19}", line, re.ASCII) or not -(2**63) <= int(line) < 2**63:
        return None
    return int(line)
