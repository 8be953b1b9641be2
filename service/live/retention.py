"""Retention: what every artifact that may be served holds leaves the delta log."""

from __future__ import annotations

import json
from calendar import timegm
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from feedrank.errors import blaming
from feedrank.live.delta_log import DeltaLog
from feedrank.log.metadata import LogMeta
from service.links import previous_path


def drop_held(log: DeltaLog, artifacts: Sequence[Path]) -> int:
    """Drop the events that the served artifacts hold, and those that a rollback takes; how many.

    Args:
        log: the delta log.
        artifacts: links of those served, of which some may not be there.

    Raises:
        ArtifactError: an artifact cannot be read.
    """
    links = [*artifacts, *map(previous_path, artifacts)]
    ends = [end_of(link.resolve()) for link in links if link.exists()]
    return log.drop_until(timegm(min(ends).timetuple()) - 1) if ends else 0


def end_of(directory: Path) -> datetime:
    """The first second that an artifact does not hold; raises `ArtifactError`."""
    with blaming(directory):
        about = json.loads((directory / "feature_store.json").read_text())
        meta = LogMeta(**about["meta"])
        return meta.moment(meta.last_at + 1)
