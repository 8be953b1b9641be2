"""Metadata of a log: its size, and how its times are counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

FORMAT = 1
SECONDS_A_DAY, SECONDS_AN_HOUR, HOURS_A_DAY = 86_400, 3600, 24


def hour_of_day(at: np.ndarray) -> np.ndarray:
    """Hour on the log's clock, 0 to 23, of seconds since the log's origin, which is a midnight."""
    return at % SECONDS_A_DAY // SECONDS_AN_HOUR


@dataclass(frozen=True)
class LogMeta:
    """What a log holds, as written in `meta.json`."""

    origin: str
    last_at: int
    n_users: int
    n_posts: int
    n_impressions: int
    n_likes: int
    n_buckets: int
    source: str
    format: int = FORMAT

    @property
    def origin_at(self) -> datetime:
        """The midnight that times are counted from."""
        return datetime.fromisoformat(self.origin)

    @property
    def n_days(self) -> int:
        """Days from the origin to the last impression, both included."""
        return self.last_at // SECONDS_A_DAY + 1

    def seconds(self, at: datetime) -> int:
        """Whole seconds from the origin to a moment; negative before it."""
        return (at - self.origin_at) // timedelta(seconds=1)

    def moment(self, at: int) -> datetime:
        """The moment that lies `at` seconds after the origin."""
        return self.origin_at + timedelta(seconds=int(at))

    def user_range(self, bucket: int) -> tuple[int, int]:
        """First user of a bucket and the first of the next; users are spread evenly."""
        return (
            bucket * self.n_users // self.n_buckets,
            (bucket + 1) * self.n_users // self.n_buckets,
        )
