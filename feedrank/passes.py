"""Pass 1 and pass 2 over the buckets: shared counts and histories, then training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from feedrank.counts import PairCounts, StepCounts, Tally, tally
from feedrank.encodings import Encodings
from feedrank.features import Question, assemble, features_of
from feedrank.folds import Calendar
from feedrank.history import History, by_user, smallest_uint
from feedrank.log import SECONDS_A_DAY, Impressions, Log
from feedrank.lots import draw_lots
from feedrank.params import FeaturesParams
from feedrank.profiles import Profiles
from feedrank.rows import TrainingRows
from feedrank.state import SharedCounts, SharedHistory, UserState
from feedrank.workers import map_parts


@dataclass(frozen=True)
class Counted:
    """One bucket's shared counts and histories."""

    by_post: StepCounts
    by_column: StepCounts
    per_user: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray


def count_shared(
    log: Log, profiles: Profiles, encodings: Encodings
) -> tuple[SharedCounts, History]:
    """Pass 1: shared counts over time, and each user's history."""
    job = partial(_count_bucket, log, profiles, encodings)
    parts = list(map_parts(job, log.meta.n_buckets, "counting"))
    shared = SharedCounts(
        StepCounts.merged([p.by_post for p in parts]),
        StepCounts.merged([p.by_column for p in parts]),
    )
    per_user = np.concatenate([p.per_user for p in parts])
    history = History(
        np.concatenate([[0], np.cumsum(per_user)]),
        np.concatenate([p.post for p in parts]),
        np.concatenate([p.step for p in parts]),
        np.packbits(np.concatenate([p.liked for p in parts])),
    )
    return shared, history


def training_rows(
    log: Log,
    profiles: Profiles,
    shared: SharedHistory,
    calendar: Calendar,
    params: FeaturesParams,
) -> TrainingRows:
    """Pass 2: a sample of all impressions after the warm-up, each with what was known before.

    In the order of (at, user, post), so that neither they nor a ranker depend on the buckets.
    """
    n_rows = max(log.meta.n_impressions, 1)
    share = min(params.row_share, params.max_rows / n_rows)
    job = partial(_rows_of_bucket, log, profiles, shared, calendar.warmup_days, share, params.seed)
    return TrainingRows.joined(list(map_parts(job, log.meta.n_buckets, "assembling"))).sorted()


def steps_of(rows: Impressions, step_seconds: int) -> np.ndarray:
    """Step of each impression, shape (n,)."""
    return rows.at // np.uint32(step_seconds)


def n_steps(log: Log, step_seconds: int) -> int:
    """Steps from the origin to the last impression, both included."""
    return log.meta.last_at // step_seconds + 1


def _count_bucket(log: Log, profiles: Profiles, encodings: Encodings, bucket: int) -> Counted:
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    steps = n_steps(log, encodings.step_seconds)
    n_post_keys = encodings.n_segments * encodings.n_posts
    n_column_keys = int(encodings.column_offsets[-1]) * encodings.n_segments * encodings.n_groups

    def by_post() -> Iterator[Tally]:
        for part in _by_step(rows, encodings.step_seconds, steps):
            segment = encodings.segment(profiles.codes[part.user])
            yield tally(segment * encodings.n_posts + part.post, part.liked, n_post_keys)

    def by_column() -> Iterator[Tally]:
        for part in _by_step(rows, encodings.step_seconds, steps):
            yield _column_tally(part, profiles, encodings, n_column_keys)

    order, per_user = by_user(rows.user, first, last - first)
    return Counted(
        StepCounts.of(by_post(), n_post_keys),
        StepCounts.of(by_column(), n_column_keys),
        per_user,
        rows.post[order].astype(smallest_uint(log.meta.n_posts)),
        steps_of(rows, encodings.step_seconds)[order].astype(smallest_uint(steps)),
        rows.liked[order],
    )


def _column_tally(
    rows: Impressions, profiles: Profiles, encodings: Encodings, n_keys: int
) -> Tally:
    """Counts by (profile code end to end, segment, group) of all profile columns."""
    codes = profiles.codes[rows.user].astype(np.int64)
    cell = encodings.segment(codes) * encodings.n_groups + encodings.groups.cluster[rows.post]
    total = Tally(*np.zeros((2, n_keys), np.int64))
    for column, offset in enumerate(encodings.column_offsets[:-1]):
        key = (offset + codes[:, column]) * (encodings.n_segments * encodings.n_groups) + cell
        total += tally(key, rows.liked, n_keys)
    return total


def _rows_of_bucket(
    log: Log,
    profiles: Profiles,
    shared: SharedHistory,
    warmup_days: int,
    share: float,
    seed: int,
    bucket: int,
) -> TrainingRows:
    encodings = shared.encodings
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    user = (rows.user - np.uint32(first)).astype(np.int64)
    step = steps_of(rows, encodings.step_seconds)
    pairs = PairCounts(user, rows.post, step, rows.liked, encodings.n_posts)
    state = UserState(encodings, profiles.codes[first:last], pairs)
    features = features_of(encodings)
    kept = (draw_lots(rows, seed) < share) & (rows.at >= warmup_days * SECONDS_A_DAY)
    edges = np.searchsorted(step, np.arange(n_steps(log, encodings.step_seconds) + 1))
    parts = [np.empty((0, len(features)), np.float32)]
    for number, (low, high) in enumerate(pairwise(edges)):
        chosen = low + np.flatnonzero(kept[low:high])
        if len(chosen):
            asked = (user[chosen], rows.post[chosen], rows.at[chosen])
            parts.append(assemble(features, Question(shared.as_of(number), state, *asked)))
        state.update(user[low:high], rows.post[low:high], rows.liked[low:high])
    out = rows[kept]
    return TrainingRows(np.concatenate(parts), out.liked, out.at, out.user, out.post)


def _by_step(rows: Impressions, step_seconds: int, n_steps: int) -> Iterator[Impressions]:
    edges = np.searchsorted(steps_of(rows, step_seconds), np.arange(n_steps + 1))
    for low, high in pairwise(edges):
        yield rows[int(low) : int(high)]
