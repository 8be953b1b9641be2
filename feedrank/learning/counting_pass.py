"""First pass over the buckets: counts by post and step, and each user's history."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from feedrank.engines.engine import sum_parts
from feedrank.log.files import Log
from feedrank.log.steps import by_step, n_steps, steps_of
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally, smallest_uint, tally
from feedrank.state.fitted import WarmupParameters
from feedrank.state.history import History
from feedrank.state.profiles import Profiles

Columns = tuple[np.ndarray, ...]


def count_posts(
    log: Log, profiles: Profiles, fixed: WarmupParameters
) -> tuple[StepCounts, History]:
    """Counts over time by (segment, post), and each user's history."""
    job = partial(_count_bucket, log, profiles, fixed)
    by_post, parts = sum_parts(job, StepCounts.merged, log.meta.n_buckets, "counting")
    n_shown, post, step, liked = (np.concatenate(column) for column in zip(*parts, strict=True))
    offsets = np.concatenate([[0], np.cumsum(n_shown)])
    return by_post, History(offsets, post, step, np.packbits(liked))


def _count_bucket(
    log: Log, profiles: Profiles, fixed: WarmupParameters, bucket: int
) -> tuple[StepCounts, Columns]:
    """Counts of a bucket; its users' numbers of impressions; post, step, liked user by user."""
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    total = n_steps(log, fixed.step_seconds)
    steps = steps_of(rows, fixed.step_seconds)
    n_keys = fixed.n_segments * fixed.n_posts

    def tallies() -> Iterator[Tally]:
        for part in by_step(rows, steps, total):
            segment = fixed.segment(profiles.codes[part.user])
            yield tally(segment * fixed.n_posts + part.post, part.liked, n_keys)

    user = rows.user - np.uint32(first)
    # Stable, so that a user's rows stay in order of time; 16 bits are sorted by radix.
    order = np.argsort(user.astype(smallest_uint(last - first)), kind="stable")
    return StepCounts.of(tallies(), n_keys), (
        np.bincount(user, minlength=last - first),
        rows.post[order].astype(smallest_uint(log.meta.n_posts)),
        steps[order].astype(smallest_uint(total)),
        rows.liked[order],
    )
