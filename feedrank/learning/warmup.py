"""Warm-up: the target encodings and, if it tells one, the segment column, of the first days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from feedrank.engines.engine import sum_parts
from feedrank.errors import SchemaError
from feedrank.learning.own_plugins import own_plugins
from feedrank.learning.segments.find import with_segments_of
from feedrank.learning.target_encoding import static_encodings
from feedrank.learning.texts.design import topic_codes
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.log.sampling import hash_uniform, lowest
from feedrank.params import FeaturesParams
from feedrank.schema import TOPIC
from feedrank.state.fitted import WarmupParameters
from feedrank.state.profiles import Profiles

SAMPLED_ROWS = 400_000  # at most: a rate of 10 % in a code of 1 % of them has an error of 0.5 %
SAMPLE_SEED = 1  # any number


@dataclass(frozen=True)
class WarmUp:
    """Warm-up rows, summed up.

    Attributes:
        n_likes: of all rows.
        rows: a hash sample of at most `SAMPLED_ROWS`.
        draws: of these rows.
    """

    n_likes: int
    rows: Impressions
    draws: np.ndarray

    @classmethod
    def added(cls, parts: Sequence[WarmUp]) -> WarmUp:
        """The warm-up of several buckets."""
        draws = np.concatenate([p.draws for p in parts])
        kept = lowest(draws, SAMPLED_ROWS)
        rows = Impressions.joined([p.rows for p in parts])[kept]
        return cls(sum(p.n_likes for p in parts), rows, draws[kept])


def fit_warmup(
    log: Log, profiles: Profiles, calendar: Calendar, params: FeaturesParams
) -> WarmupParameters:
    """Parameters fitted once, on the warm-up days alone.

    Raises:
        SchemaError: the warm-up holds no like, so that there is nothing to fit.
    """
    job = partial(_warmup_of_bucket, log, calendar.warmup_days * SECONDS_A_DAY)
    total = sum_parts(job, WarmUp.added, log.meta.n_buckets, "reading the warm-up")
    if not total.n_likes:
        raise _no_like(log, calendar)
    fixed = WarmupParameters(
        step_seconds=params.step_seconds,
        half_life_steps=params.half_life_days * SECONDS_A_DAY / params.step_seconds,
        segment_column=-1,
        segments_since=0,
        segment_splits=(),
        column_names=tuple(profiles.names()),
        column_codes=tuple(c.n_codes for c in profiles.columns),
        moment_names=tuple(map(str, log.user_days)),
        topic=topic_codes(log.posts[TOPIC]),
        encoded=static_encodings(profiles, total.rows.user, total.rows.at, total.rows.liked),
        plugins=own_plugins(params.plugins, log.posts),
    )
    return with_segments_of(fixed, profiles, total.rows, 0)


def _no_like(log: Log, calendar: Calendar) -> SchemaError:
    if not log.meta.n_likes:
        return SchemaError(
            "no view of the feed was liked, so there is nothing to learn from. Check that 'target' "
            "is 1 on liked view rows: rows of action 'like' are counted, but not read."
        )
    return SchemaError(
        f"the first {calendar.warmup_days} days of the feed hold no like, so there is nothing "
        "to learn from. Check that 'target' is 1 on liked view rows, or raise "
        "'features.warmup_days'."
    )


def _warmup_of_bucket(log: Log, end: int, bucket: int) -> tuple[WarmUp, None]:
    rows, _ = log.between(bucket, 0, end)
    draws = hash_uniform(rows, SAMPLE_SEED)
    kept = lowest(draws, SAMPLED_ROWS)
    return WarmUp(int(rows.liked.sum()), rows[kept], draws[kept]), None
