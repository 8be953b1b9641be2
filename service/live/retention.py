"""Retention: what every artifact that may be served holds leaves the delta log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from feedrank.artifact.manifest import MANIFEST, read_manifest
from feedrank.live.delta_log import DeltaLog
from feedrank.live.live_store import EPOCH


def drop_held(log: DeltaLog, artifacts: Iterable[Path]) -> int:
    """Drop the events up to the earliest last second of some artifacts; how many.

    Args:
        log: the delta log.
        artifacts: directories or links, of which some may not be there: those served, and those
            that a rollback takes.
    """
    there = [path for path in artifacts if (path / MANIFEST).exists()]
    ends = [datetime.fromisoformat(read_manifest(path)["as_of"]) for path in there]
    return log.drop_until(int((min(ends) - EPOCH).total_seconds())) if ends else 0
