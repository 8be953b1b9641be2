"""Segments: profile columns by whose codes users differ most in the posts that they like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from feedrank.engines.engine import map_parts
from feedrank.learning.segments.difference import most_different
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.fitted import Split, WarmupParameters
from feedrank.state.profiles import Profiles

LATER_ROWS = 3_000_000  # of a refit, at most, as for tastes
MOST_SEGMENTS = 64  # of columns together; each costs counts and a state of every post
# Of what the segment column exceeds its chance by, at least, for a column to split segments: with
# millions of rows any difference is certain, and each split doubles the counts.
LEAST_OF_FIRST = 0.1
Look = tuple[int, int]  # a refit's: seconds before which, and every how many users


def with_segments(
    log: Log, profiles: Profiles, fixed: WarmupParameters, firsts: Sequence[int]
) -> WarmupParameters:
    """The parameters, with segments from the first refit that finds some if the warm-up found none.

    Each refit after the first looks at the impressions before it, of users spread evenly; the
    first one also holds before its first step. Earlier steps keep one segment.

    Args:
        log: the log.
        profiles: of all users.
        fixed: parameters of the warm-up.
        firsts: first step of each refit.
    """
    if fixed.segment_column >= 0 or not profiles.columns or len(firsts) == 1:
        return fixed
    ends = np.array(firsts[1:], np.int64) * fixed.step_seconds
    count = partial(_n_before, log, ends)
    n_before = np.sum(list(map_parts(count, log.meta.n_buckets, "counting impressions")), axis=0)
    apart = np.maximum(-(-n_before // LATER_ROWS), 1)
    looks = list(zip(ends.tolist(), apart.tolist(), strict=True))
    some = partial(_of_some_users, log, looks)
    rows = Impressions.joined(list(map_parts(some, log.meta.n_buckets, "reading some users")))
    look = partial(_found_before, fixed, profiles, rows, looks)
    found = list(map_parts(look, len(looks), "looking for segments"))
    return next((later for later in found if later.segment_column >= 0), fixed)


def with_segments_of(
    fixed: WarmupParameters, profiles: Profiles, rows: Impressions, since: int
) -> WarmupParameters:
    """The parameters of one segment, with the segments that rows show.

    The column whose codes differ most is the segment column. Then, as long as there is room, the
    column whose codes differ most within segments splits each of them.

    Args:
        fixed: parameters without segments.
        profiles: of all users.
        rows: impressions of some users, in any order.
        since: first step that knows of what is found.
    """
    left = list(range(len(profiles.columns)))
    found = most_different(profiles, rows, left, fixed.segment(profiles.codes))
    if found.column < 0:
        return fixed
    fixed = replace(fixed, segment_column=found.column, segments_since=since)
    least = LEAST_OF_FIRST * found.excess
    while 2 * fixed.n_segments <= MOST_SEGMENTS:
        left.remove(found.column)
        found = most_different(profiles, rows, left, fixed.segment(profiles.codes))
        if found.excess <= least or {*found.half} != {0, 1}:
            break
        split = Split(found.column, found.half)
        fixed = replace(fixed, segment_splits=(*fixed.segment_splits, split))
    return fixed


def words_of(fixed: WarmupParameters) -> str:
    """Which columns split users, and what showed it, in words."""
    if fixed.segment_column < 0:
        return "no profile column splits the users by what they like: all are one segment."
    names = " and ".join(f"'{fixed.column_names[c]}'" for c in fixed.segment_columns)
    verb = "split" if fixed.segment_splits else "splits"
    if not fixed.segments_since:
        return f"{names} {verb} the users, as the warm-up shows."
    day = fixed.segments_since * fixed.step_seconds // SECONDS_A_DAY
    return f"{names} {verb} the users from day {day} on, when a refit found it."


def _n_before(log: Log, ends: np.ndarray, bucket: int) -> np.ndarray:
    """Impressions of a bucket before each end, int64, shape (len(ends),)."""
    rows, _ = log.between(bucket, 0, int(ends[-1]))
    return np.searchsorted(rows.at, ends)


def _of_some_users(log: Log, looks: Sequence[Look], bucket: int) -> Impressions:
    rows, _ = log.between(bucket, 0, looks[-1][0])
    return rows[np.any([_is_seen(rows, *look) for look in looks], axis=0)]


def _is_seen(rows: Impressions, end: int, apart: int) -> np.ndarray:
    """Whether a refit looks at each row: before its end, every so many users."""
    return np.asarray((rows.at < end) & (rows.user % apart == 0))


def _found_before(
    fixed: WarmupParameters,
    profiles: Profiles,
    rows: Impressions,
    looks: Sequence[Look],
    number: int,
) -> WarmupParameters:
    since = looks[number][0] // fixed.step_seconds
    return with_segments_of(fixed, profiles, rows[_is_seen(rows, *looks[number])], since)
