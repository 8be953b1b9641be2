"""Record of deployments: one line of JSON each, beside the versions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

RECORD = "deployments.jsonl"


@contextmanager
def recorded(
    versions: Path, what: str, version: str, previous: str | None, **words: object
) -> Iterator[None]:
    """Append one line for what happens within; an error takes it back.

    It is on the disk before anything changes, so that a full disk lets nothing happen unrecorded.

    Args:
        versions: directory of the deployed copies.
        what: 'deploy' or 'rollback'.
        version: that is served then.
        previous: that was served before; None for the first.
        words: further entries, such as those with which a gate was overruled; empty ones are left
            out.
    """
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": what,
        "version": version,
        "previous": previous,
        **{name: value for name, value in words.items() if value},
    }
    with (versions / RECORD).open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            file.write(f"{json.dumps(line)}\n".encode())
            os.fsync(file.fileno())
            yield
        except BaseException:
            file.truncate(end)
            raise
