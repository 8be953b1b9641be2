"""First pass over the buckets: counts by step, of posts and of plugins' keys, and histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import numpy as np

from feedrank.engines.engine import sum_parts
from feedrank.io.arrays import SpooledArray
from feedrank.log.files import Log
from feedrank.log.steps import by_step, n_steps, steps_of
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Cells, cells_of, smallest_uint
from feedrank.state.fitted import WarmupParameters
from feedrank.state.history import History
from feedrank.state.plugins.pairs import Pairs
from feedrank.state.profiles import Profiles

Columns = tuple[np.ndarray, ...]


def count_posts(
    log: Log, profiles: Profiles, fixed: WarmupParameters
) -> tuple[list[StepCounts], History]:
    """Counts over time by (segment, post), then those of the plugins, and each user's history."""
    job = partial(_count_bucket, log, profiles, fixed)
    with closing(_Histories(log, n_steps(log, fixed.step_seconds))) as histories:
        counts = sum_parts(job, added, log.meta.n_buckets, "counting", histories.append)
        return counts, histories.joined()


class _Histories:
    """Histories of all users, on disk as those of each bucket come."""

    def __init__(self, log: Log, n_steps: int) -> None:
        self._n_shown = [np.zeros(1, np.int64)]
        self._post = SpooledArray(smallest_uint(log.meta.n_posts))
        self._step = SpooledArray(smallest_uint(n_steps))
        self._liked = SpooledArray(np.dtype(np.uint8))
        self._rest = np.zeros(0, np.uint8)  # labels that do not fill a byte

    def append(self, part: Columns) -> None:
        n_shown, post, step, liked = part
        self._n_shown.append(n_shown)
        self._post.append(post)
        self._step.append(step)
        liked = np.concatenate([self._rest, liked])
        whole = len(liked) // 8 * 8
        self._liked.append(np.packbits(liked[:whole]))
        self._rest = liked[whole:]

    def joined(self) -> History:
        self._liked.append(np.packbits(self._rest))
        offsets = np.cumsum(np.concatenate(self._n_shown))
        return History(offsets, *(column.mapped() for column in self._columns))

    def close(self) -> None:
        for column in self._columns:
            column.close()

    @property
    def _columns(self) -> tuple[SpooledArray, ...]:
        return self._post, self._step, self._liked


def added(parts: Sequence[list[StepCounts]]) -> list[StepCounts]:
    """The sums of several counts each of disjoint rows."""
    return [StepCounts.merged(counts) for counts in zip(*parts, strict=True)]


def _count_bucket(
    log: Log, profiles: Profiles, fixed: WarmupParameters, bucket: int
) -> tuple[list[StepCounts], Columns]:
    """Counts of a bucket; its users' numbers of impressions; post, step, liked user by user."""
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    total = n_steps(log, fixed.step_seconds)
    steps = steps_of(rows, fixed.step_seconds)
    n_keys = fixed.n_segments * fixed.n_posts
    segment = fixed.segment(profiles.codes[first:last])
    keys: list[tuple[Callable[[Pairs], np.ndarray], int]] = [
        (lambda pairs: segment[pairs.user - first] * fixed.n_posts + pairs.post, n_keys),
        *((count.keys, count.n_keys) for count in fixed.plugins.counts.values()),
    ]

    def cells(key: Callable[[Pairs], np.ndarray], n_keys: int) -> Iterator[Cells]:
        for part in by_step(rows, steps, total):
            pairs = Pairs(fixed, profiles.codes, part.user, part.post, part.at)
            yield cells_of(key(pairs), part.liked, n_keys)

    user = rows.user - np.uint32(first)
    # Stable, so that a user's rows stay in order of time; 16 bits are sorted by radix.
    order = np.argsort(user.astype(smallest_uint(last - first)), kind="stable")
    return [StepCounts.of(cells(*of), of[1]) for of in keys], (
        np.bincount(user, minlength=last - first),
        rows.post[order].astype(smallest_uint(log.meta.n_posts)),
        steps[order].astype(smallest_uint(total)),
        rows.liked[order],
    )
