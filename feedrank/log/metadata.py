"""Metadata of a log: its size, and how its times are counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Tuple

import numpy as np

FORMAT = 1
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
Offsets = Tuple[Tuple[int, int], ...]
SECONDS_A_DAY, SECONDS_AN_HOUR, HOURS_A_DAY = 86_400, 3600, 24
# Seconds before and after all moments of a log; sums with a log's origin stay within int64.
ALWAYS, NEVER = -(2**62), 2**62


def hour_of_day(at: np.ndarray) -> np.ndarray:
    """Hour on the log's clock, 0 to 23, of seconds since the log's origin, which is a midnight."""
    return at % SECONDS_A_DAY // SECONDS_AN_HOUR


def bucket_bounds(n_users: int, n_buckets: int) -> np.ndarray:
    """First user of each bucket, and the number of users; as `LogMeta.user_range` has it."""
    return np.arange(n_buckets + 1) * n_users // n_buckets


@dataclass(frozen=True)
class LogMeta:
    """What a log holds, as written in `meta.json`.

    `offsets` of the log's clock from UTC are pairs of Unix time and seconds, each until the next.
    The first one is also that of all earlier moments. `policies` are those of the exposures that
    impressions belong to.
    """

    origin: str
    last_at: int
    n_users: int
    n_posts: int
    n_impressions: int
    n_likes: int
    n_buckets: int
    source: str
    time_zone: str = "UTC"
    offsets: Offsets = ((0, 0),)
    format: int = FORMAT
    policies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        offsets = tuple((int(since), int(shift)) for since, shift in self.offsets)
        if not offsets or any(abs(shift) > SECONDS_A_DAY for _, shift in offsets):
            raise ValueError(f"'offsets' of a clock cannot be {self.offsets}")
        object.__setattr__(self, "offsets", tuple(sorted(offsets)))
        object.__setattr__(self, "policies", tuple(self.policies))

    def as_json(self) -> dict[str, Any]:
        """The fields as files hold them: a log without exposures names no policies."""
        fields = asdict(self)
        return fields if self.policies else {k: v for k, v in fields.items() if k != "policies"}

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
        return (at - self.origin_at) // SECOND

    def local(self, at: datetime) -> datetime:
        """A moment on the log's clock, naive; a naive one is taken to be that already."""
        if at.tzinfo is None:
            return at
        utc = (at - EPOCH) // SECOND
        shift = [shift for since, shift in self.offsets if since <= utc] or [self.offsets[0][1]]
        return at.astimezone(timezone(timedelta(seconds=shift[-1]))).replace(tzinfo=None)

    def utc(self, at: datetime) -> datetime:
        """A moment of the log's clock in UTC; the later of the two where the clock was put back."""
        seconds = (at.replace(tzinfo=timezone.utc) - EPOCH) // SECOND
        shift = [s for since, s in self.offsets if since + s <= seconds] or [self.offsets[0][1]]
        return at.replace(tzinfo=timezone(timedelta(seconds=shift[-1]))).astimezone(timezone.utc)

    def moment(self, at: int) -> datetime:
        """The moment that lies `at` seconds after the origin."""
        return self.origin_at + timedelta(seconds=int(at))

    def user_range(self, bucket: int) -> tuple[int, int]:
        """First user of a bucket and the first of the next; users are spread evenly."""
        return (
            bucket * self.n_users // self.n_buckets,
            (bucket + 1) * self.n_users // self.n_buckets,
        )
