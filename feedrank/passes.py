"""Two passes over the buckets: counts by post and histories first, training rows last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from feedrank.counts import PairCounts, StepCounts, Tally, smallest_uint, tally
from feedrank.encodings import Encodings
from feedrank.engine import map_parts, sum_parts
from feedrank.features import Question, assemble, features_of
from feedrank.folds import Calendar
from feedrank.history import History, by_user
from feedrank.log import SECONDS_A_DAY, Impressions, Log
from feedrank.lots import draw_lots
from feedrank.params import FeaturesParams
from feedrank.profiles import Profiles
from feedrank.rows import TrainingRows
from feedrank.state import SharedHistory
from feedrank.users import UserState


@dataclass(frozen=True)
class Histories:
    """Of one bucket's users."""

    per_user: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray


def count_posts(log: Log, profiles: Profiles, encodings: Encodings) -> tuple[StepCounts, History]:
    """Counts over time by (segment, post), and each user's history."""
    job = partial(_count_bucket, log, profiles, encodings)
    by_post, parts = sum_parts(job, StepCounts.merged, log.meta.n_buckets, "counting")
    per_user = np.concatenate([p.per_user for p in parts])
    history = History(
        np.concatenate([[0], np.cumsum(per_user)]),
        np.concatenate([p.post for p in parts]),
        np.concatenate([p.step for p in parts]),
        np.packbits(np.concatenate([p.liked for p in parts])),
    )
    return by_post, history


def row_job(
    log: Log,
    profiles: Profiles,
    shared: SharedHistory,
    calendar: Calendar,
    params: FeaturesParams,
) -> Callable[[int], Iterator[TrainingRows]]:
    """The last pass over one bucket: a sample of its rows after the warm-up, and what was known.

    Rows come step by step, in the order of (at, user, post), so that few are held.
    """
    share = row_share(log, params)
    return partial(_rows_of_bucket, log, profiles, shared, calendar.warmup_days, share, params.seed)


def row_share(log: Log, params: FeaturesParams) -> float:
    """Share of the impressions after the warm-up that become training rows."""
    return min(params.row_share, params.max_rows / max(log.meta.n_impressions, 1))


def training_rows(log: Log, job: Callable[[int], Iterator[TrainingRows]]) -> TrainingRows:
    """All buckets' rows in the order of (at, user, post), whatever the number of buckets."""
    whole = partial(_whole, job)
    return TrainingRows.joined(list(map_parts(whole, log.meta.n_buckets, "assembling"))).sorted()


def steps_of(rows: Impressions, step_seconds: int) -> np.ndarray:
    """Step of each impression, shape (n,)."""
    return rows.at // np.uint32(step_seconds)


def n_steps(log: Log, step_seconds: int) -> int:
    """Steps from the origin to the last impression, both included."""
    return log.meta.last_at // step_seconds + 1


def by_step(rows: Impressions, steps: np.ndarray, n_steps: int) -> Iterator[Impressions]:
    """The rows of each step in turn; `steps` of the rows are ascending."""
    edges = np.searchsorted(steps, np.arange(n_steps + 1))
    for low, high in pairwise(edges):
        yield rows[int(low) : int(high)]


def _count_bucket(
    log: Log, profiles: Profiles, encodings: Encodings, bucket: int
) -> tuple[StepCounts, Histories]:
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    total = n_steps(log, encodings.step_seconds)
    steps = steps_of(rows, encodings.step_seconds)
    n_keys = encodings.n_segments * encodings.n_posts

    def tallies() -> Iterator[Tally]:
        for part in by_step(rows, steps, total):
            segment = encodings.segment(profiles.codes[part.user])
            yield tally(segment * encodings.n_posts + part.post, part.liked, n_keys)

    order, per_user = by_user(rows.user, first, last - first)
    return StepCounts.of(tallies(), n_keys), Histories(
        per_user,
        rows.post[order].astype(smallest_uint(log.meta.n_posts)),
        steps[order].astype(smallest_uint(total)),
        rows.liked[order],
    )


def _whole(job: Callable[[int], Iterator[TrainingRows]], bucket: int) -> TrainingRows:
    return TrainingRows.joined(list(job(bucket)))


def _rows_of_bucket(
    log: Log,
    profiles: Profiles,
    shared: SharedHistory,
    warmup_days: int,
    share: float,
    seed: int,
    bucket: int,
) -> Iterator[TrainingRows]:
    encodings = shared.encodings
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    user = (rows.user - np.uint32(first)).astype(np.int64)
    step = steps_of(rows, encodings.step_seconds)
    pairs = PairCounts(user, rows.post, step, rows.liked, encodings.n_posts)
    codes = profiles.codes[first:last]
    state = UserState(encodings, encodings.eras[0], codes, pairs)
    features = features_of(encodings)
    kept = (draw_lots(rows, seed) < share) & (rows.at >= warmup_days * SECONDS_A_DAY)
    edges = np.searchsorted(step, np.arange(n_steps(log, encodings.step_seconds) + 1))
    yield _labelled(np.empty((0, len(features)), np.float32), rows[:0])
    for number, (low, high) in enumerate(pairwise(edges)):
        if state.era is not encodings.era(number):
            state = UserState(encodings, encodings.era(number), codes, pairs)
            state.update(user[:low], rows.post[:low], rows.liked[:low])
        chosen = low + np.flatnonzero(kept[low:high])
        if len(chosen):
            asked = (user[chosen], rows.post[chosen], rows.at[chosen])
            matrix = assemble(features, Question(shared.as_of(number), state, *asked))
            yield _labelled(matrix, rows[chosen])
        state.update(user[low:high], rows.post[low:high], rows.liked[low:high])


def _labelled(matrix: np.ndarray, rows: Impressions) -> TrainingRows:
    return TrainingRows(matrix, rows.liked, rows.at, rows.user, rows.post)
