"""Refits: what is learned of posts and weights is learned anew when the log has grown by half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from feedrank.engines.engine import map_parts, sum_parts
from feedrank.learning.posts.fit import fit_posts
from feedrank.learning.posts.text import text_design
from feedrank.learning.prior_strengths import RefitCounts, asked_of, fit_strengths
from feedrank.log.files import SECONDS_A_DAY, Log
from feedrank.log.impressions import Impressions
from feedrank.log.steps import by_step, n_steps, steps_of
from feedrank.params import FeaturesParams
from feedrank.state.clusters import PostClusters
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.counts.tally import Tally, tally
from feedrank.state.factors import Factors
from feedrank.state.fitted import FittedParameters, Refit, WarmupParameters
from feedrank.state.history import History, InteractionSample
from feedrank.state.profiles import Profiles

GROWTH = 1.5  # of the log from one refit to the next
FACTOR_IMPRESSIONS, FACTOR_USERS = 3_000_000, 100_000  # that factors are found by, at most


def refit_days(warmup_days: int, n_days: int, most: int) -> list[int]:
    """First days of the refits: the end of the warm-up, then whenever the log has grown by half."""
    days = {int(warmup_days * GROWTH**number) for number in range(2 * most)}
    return sorted(day for day in days if day < n_days)[:most]


def fit_refits(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    by_post: StepCounts,
    history: History,
    days: list[int],
    params: FeaturesParams,
) -> tuple[FittedParameters, tuple[StepCounts, ...]]:
    """All fitted parameters, and the counts by profile column of each refit.

    A refit knows nothing of its own first step, nor of anything later.

    Args:
        log: the log.
        profiles: of all users.
        fixed: what the warm-up days fitted.
        by_post: counts over time, key (segment, post).
        history: of all users.
        days: the first of each refit.
        params: of the features.
    """
    firsts = sorted({day * SECONDS_A_DAY // fixed.step_seconds for day in days})
    before = [by_post.before(first).reshape(fixed.n_segments, -1) for first in firsts]
    segment = fixed.segment(profiles.codes)
    samples = []
    for first in firsts:
        users = history.spread_users(first, FACTOR_IMPRESSIONS, FACTOR_USERS)
        samples.append(InteractionSample.of(history, users, segment[users], first))
    found = _fit_posts(log.posts, before, samples, params)
    clusters = [of[0] for of in found]
    counts = _count_refits(log, profiles, fixed, firsts, clusters)
    refits = tuple(
        Refit(first, *of, fit_strengths(fixed, first, of[0], profiles.codes, by_post, count))
        for first, of, count in zip(firsts, found, counts, strict=True)
    )
    return FittedParameters(**vars(fixed), refits=refits), tuple(c.by_column for c in counts)


def _fit_posts(
    posts: pd.DataFrame,
    before: list[Tally],
    samples: list[InteractionSample],
    params: FeaturesParams,
) -> list[tuple[PostClusters, Factors]]:
    job = partial(_fit_one, before, samples, text_design(posts, params.vocabulary), params)
    return list(map_parts(job, len(before), "finding clusters and factors of posts"))


def _fit_one(
    before: list[Tally],
    samples: list[InteractionSample],
    texts: csr_matrix,
    params: FeaturesParams,
    number: int,
) -> tuple[PostClusters, Factors]:
    return fit_posts(before[number], samples[number], texts, params)


def _count_refits(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    firsts: list[int],
    clusters: list[PostClusters],
) -> list[RefitCounts]:
    job = partial(_refits_of_bucket, log, profiles, fixed, firsts, clusters)
    by_column, of_users = sum_parts(job, _added, log.meta.n_buckets, "counting by cluster")
    tallies = [
        [_stacked(list(parts)) for parts in zip(*of_refit, strict=True)]
        for of_refit in zip(*of_users, strict=True)
    ]
    return [RefitCounts(counts, *t) for counts, t in zip(by_column, tallies, strict=True)]


def _added(parts: Sequence[list[StepCounts]]) -> list[StepCounts]:
    return [StepCounts.merged(of_refit) for of_refit in zip(*parts, strict=True)]


def _refits_of_bucket(
    log: Log,
    profiles: Profiles,
    fixed: WarmupParameters,
    firsts: list[int],
    clusters: list[PostClusters],
    bucket: int,
) -> tuple[list[StepCounts], list[tuple[Tally, Tally]]]:
    """Counts by profile column, and some users' by cluster and by topic, of every refit."""
    rows = log.bucket(bucket)
    first_user, last_user = log.meta.user_range(bucket)
    n_clusters = clusters[0].rate.shape[1]
    users_asked = asked_of(log.meta.n_users, n_clusters)
    of_users = partial(
        _by_user, users_asked[(users_asked >= first_user) & (users_asked < last_user)]
    )
    steps = steps_of(rows, fixed.step_seconds)
    lasts = [*firsts[1:], n_steps(log, fixed.step_seconds)]
    by_column, users = [], []
    for first, last, of_refit in zip(firsts, lasts, clusters, strict=True):
        tallies = _columns_of_refit(log, rows, profiles, fixed, of_refit, first, last)
        by_column.append(StepCounts.of(tallies, fixed.n_column_keys(n_clusters)))
        known = rows[: int(np.searchsorted(steps, first))]
        by_cluster = of_users(known, of_refit.cluster, n_clusters)
        users.append((by_cluster, of_users(known, fixed.topic, fixed.n_topics)))
    return by_column, users


def _columns_of_refit(
    log: Log,
    rows: Impressions,
    profiles: Profiles,
    fixed: WarmupParameters,
    clusters: PostClusters,
    first: int,
    last: int,
) -> Iterator[Tally]:
    """A tally a step: all before `first` in the step before it, nothing of `last` or later."""
    seconds = fixed.step_seconds
    base = max(first - 1, 0)
    steps = np.maximum(steps_of(rows, seconds).astype(np.int64), base)
    for step, part in enumerate(by_step(rows, steps, n_steps(log, seconds))):
        yield _column_tally(part if step < last else part[:0], profiles, fixed, clusters)


def _column_tally(
    rows: Impressions, profiles: Profiles, fixed: WarmupParameters, clusters: PostClusters
) -> Tally:
    """Counts by (profile code end to end, segment, cluster) of all profile columns."""
    n_clusters = clusters.rate.shape[1]
    n_keys = fixed.n_column_keys(n_clusters)
    codes = profiles.codes[rows.user].astype(np.int64)
    cell = fixed.segment(codes) * n_clusters + clusters.cluster[rows.post]
    total = Tally(*np.zeros((2, n_keys), np.int64))
    for column, offset in enumerate(fixed.column_offsets[:-1]):
        key = (offset + codes[:, column]) * (fixed.n_segments * n_clusters) + cell
        total += tally(key, rows.liked, n_keys)
    return total


def _by_user(users: np.ndarray, rows: Impressions, cluster: np.ndarray, n_clusters: int) -> Tally:
    """Counts of some users, by rows of the log and in ascending order, of a bucket's rows."""
    known = rows[np.isin(rows.user, users)]
    key = np.searchsorted(users, known.user) * n_clusters + cluster[known.post]
    counts = tally(key, known.liked, len(users) * n_clusters)
    return Tally(counts.shown.astype(np.int32), counts.liked.astype(np.int32)).reshape(
        len(users), n_clusters
    )


def _stacked(parts: list[Tally]) -> Tally:
    return Tally(np.concatenate([p.shown for p in parts]), np.concatenate([p.liked for p in parts]))
