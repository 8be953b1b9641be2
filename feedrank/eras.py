"""Eras: what is learned of posts and weights is learned anew when the log has grown by half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from feedrank.counts import StepCounts, Tally, tally
from feedrank.discovery import fit_posts
from feedrank.encodings import Encodings, Era, Strengths
from feedrank.engine import map_parts, sum_parts
from feedrank.factors import Factors
from feedrank.grouping import text_design
from feedrank.history import History
from feedrank.log import SECONDS_A_DAY, Impressions, Log
from feedrank.params import FeaturesParams
from feedrank.passes import by_step, n_steps, steps_of
from feedrank.posts import PostGroups
from feedrank.profiles import Profiles
from feedrank.seen import Seen
from feedrank.strengths import EraCounts, asked_of, fit_strengths

GROWTH = 1.5  # of the log from one era to the next
FACTOR_IMPRESSIONS, FACTOR_USERS = 3_000_000, 100_000  # that factors are found by, at most


def era_days(warmup_days: int, n_days: int, most: int) -> list[int]:
    """First days of the eras: the end of the warm-up, then whenever the log has grown by half."""
    days = {int(warmup_days * GROWTH**number) for number in range(2 * most)}
    return sorted(day for day in days if day < n_days)[:most]


def fit_eras(
    log: Log,
    profiles: Profiles,
    encodings: Encodings,
    by_post: StepCounts,
    history: History,
    days: list[int],
    params: FeaturesParams,
) -> tuple[Encodings, tuple[StepCounts, ...]]:
    """Encodings with their eras, and the counts by profile column of each.

    Each era knows nothing of its own first step, nor of anything later.

    Args:
        log: the log.
        profiles: of all users.
        encodings: without eras.
        by_post: counts over time, key (segment, post).
        history: of all users.
        days: the first of each era.
        params: of the features.
    """
    firsts = sorted({day * SECONDS_A_DAY // encodings.step_seconds for day in days})
    before = [by_post.before(first).reshape(encodings.n_segments, -1) for first in firsts]
    segment = encodings.segment(profiles.codes)
    seen = [_seen(history, segment, first) for first in firsts]
    usual = Strengths.usual(len(profiles.columns))
    found = _fit_posts(log.posts, before, seen, params)
    eras = [Era(first, *of, usual) for first, of in zip(firsts, found, strict=True)]
    encodings = replace(encodings, eras=tuple(eras))
    counts = _count_eras(log, profiles, encodings)
    fitted = (
        replace(era, strengths=fit_strengths(encodings, number, profiles.codes, by_post, count))
        for number, (era, count) in enumerate(zip(eras, counts, strict=True))
    )
    return replace(encodings, eras=tuple(fitted)), tuple(c.by_column for c in counts)


def _seen(history: History, segment: np.ndarray, step: int) -> Seen:
    users, user, post, liked = history.some_before(step, FACTOR_IMPRESSIONS, FACTOR_USERS)
    return Seen(user, segment[users], post, liked)


def _fit_posts(
    posts: pd.DataFrame, before: list[Tally], seen: list[Seen], params: FeaturesParams
) -> list[tuple[PostGroups, Factors]]:
    job = partial(_fit_one, before, seen, text_design(posts, params.vocabulary), params)
    return list(map_parts(job, len(before), "finding groups and factors of posts"))


def _fit_one(
    before: list[Tally], seen: list[Seen], texts: csr_matrix, params: FeaturesParams, number: int
) -> tuple[PostGroups, Factors]:
    return fit_posts(before[number], seen[number], texts, params)


def _count_eras(log: Log, profiles: Profiles, encodings: Encodings) -> list[EraCounts]:
    job = partial(_eras_of_bucket, log, profiles, encodings)
    by_column, of_users = sum_parts(job, _added, log.meta.n_buckets, "counting by group")
    tallies = [
        [_stacked(list(parts)) for parts in zip(*of_era, strict=True)]
        for of_era in zip(*of_users, strict=True)
    ]
    return [EraCounts(counts, *t) for counts, t in zip(by_column, tallies, strict=True)]


def _added(parts: Sequence[list[StepCounts]]) -> list[StepCounts]:
    return [StepCounts.merged(of_era) for of_era in zip(*parts, strict=True)]


def _eras_of_bucket(
    log: Log, profiles: Profiles, encodings: Encodings, bucket: int
) -> tuple[list[StepCounts], list[tuple[Tally, Tally]]]:
    """Counts by profile column, and some users' by group and by topic, of every era."""
    rows = log.bucket(bucket)
    first_user, last_user = log.meta.user_range(bucket)
    users_asked = asked_of(log.meta.n_users, encodings.n_groups)
    of_users = partial(
        _by_user, users_asked[(users_asked >= first_user) & (users_asked < last_user)]
    )
    steps = steps_of(rows, encodings.step_seconds)
    lasts = [era.first_step for era in encodings.eras[1:]] + [n_steps(log, encodings.step_seconds)]
    by_column, users = [], []
    for era, last in zip(encodings.eras, lasts, strict=True):
        tallies = _columns_of_era(log, rows, profiles, encodings, era, last)
        by_column.append(StepCounts.of(tallies, encodings.n_column_keys))
        known = rows[: int(np.searchsorted(steps, era.first_step))]
        by_cluster = of_users(known, era.groups.cluster, encodings.n_groups)
        users.append((by_cluster, of_users(known, encodings.topic, encodings.n_topics)))
    return by_column, users


def _columns_of_era(
    log: Log, rows: Impressions, profiles: Profiles, encodings: Encodings, era: Era, last: int
) -> Iterator[Tally]:
    """A tally a step; all before the era falls on the step before it, later eras are left out."""
    seconds = encodings.step_seconds
    base = max(era.first_step - 1, 0)
    steps = np.maximum(steps_of(rows, seconds).astype(np.int64), base)
    for step, part in enumerate(by_step(rows, steps, n_steps(log, seconds))):
        yield _column_tally(part if step < last else part[:0], profiles, encodings, era)


def _column_tally(rows: Impressions, profiles: Profiles, encodings: Encodings, era: Era) -> Tally:
    """Counts by (profile code end to end, segment, group) of all profile columns."""
    n_keys = encodings.n_column_keys
    codes = profiles.codes[rows.user].astype(np.int64)
    cell = encodings.segment(codes) * encodings.n_groups + era.groups.cluster[rows.post]
    total = Tally(*np.zeros((2, n_keys), np.int64))
    for column, offset in enumerate(encodings.column_offsets[:-1]):
        key = (offset + codes[:, column]) * (encodings.n_segments * encodings.n_groups) + cell
        total += tally(key, rows.liked, n_keys)
    return total


def _by_user(users: np.ndarray, rows: Impressions, group: np.ndarray, n_groups: int) -> Tally:
    """Counts of some users, by rows of the log and in ascending order, of a bucket's rows."""
    known = rows[np.isin(rows.user, users)]
    key = np.searchsorted(users, known.user) * n_groups + group[known.post]
    counts = tally(key, known.liked, len(users) * n_groups)
    return Tally(counts.shown.astype(np.int32), counts.liked.astype(np.int32)).reshape(
        len(users), n_groups
    )


def _stacked(parts: list[Tally]) -> Tally:
    return Tally(np.concatenate([p.shown for p in parts]), np.concatenate([p.liked for p in parts]))
