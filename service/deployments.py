"""Record of deployments: one line of JSON each, beside the versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

RECORD = "deployments.jsonl"


def record(versions: Path, what: str, version: str, previous: str | None, **words: object) -> None:
    """Append one line: when, what, and the words with which a gate was overruled.

    Args:
        versions: directory of the deployed copies.
        what: 'deploy' or 'rollback'.
        version: that is served now.
        previous: that was served before; None for the first.
        words: further entries; empty ones are left out.
    """
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": what,
        "version": version,
        "previous": previous,
        **{name: value for name, value in words.items() if value},
    }
    with (versions / RECORD).open("a") as file:
        file.write(json.dumps(line) + "\n")
