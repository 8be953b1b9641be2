"""Segments: the profile column by which users differ most in the posts that they like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from feedrank.engines.engine import map_parts
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.state.counts.tally import tally
from feedrank.state.fitted import WarmupParameters
from feedrank.state.profiles import Profiles

# Standard deviations. On seven simulated networks of 530 and 800 users, columns that split nobody
# reach 3.5 at most at any refit, and age on *course* 6.9 to 27 at the last.
CERTAIN = 4.0
# Of the codes, as many as read 20 million rows. 20 tell the standard deviation to a sixth; of few
# users chance has long tails, and 20 made 4.9 of what 8 % of 1,000 permutations reach.
PERMUTED_ROWS, FEWEST_PERMUTATIONS, MOST_PERMUTATIONS = 20_000_000, 20, 200
FIRST_PERMUTATIONS = 5  # a column that these reach is not looked at further
# Of users who like about as often: 5 to 20 tell columns whose codes differ in that alone, of five
# impressions a post, from chance by .3 standard deviations on average; without any, by 4.9.
STRATA = 10
LATER_ROWS = 3_000_000  # of a refit, at most, as for tastes
MOST_POSTS = 10_000  # the most shown: bounds memory to some 20 MB for 64 codes
LEAST_LIKES = 0.5  # expected of a post; with fewer, a single like would decide
# Of all likes, at least, as the weight of a code: without it, chance reaches 9 standard deviations
# where codes have few users; .1 hides bands of a twelfth.
LEAST_SHARE = 0.05
SEED = 1  # any number
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
    look = partial(_column_before, profiles, rows, looks)
    columns = list(map_parts(look, len(looks), "looking for segments"))
    found = zip(firsts[1:], columns, strict=True)
    since, column = next(((first, c) for first, c in found if c >= 0), (0, -1))
    return replace(fixed, segment_column=column, segments_since=since)


def words_of(fixed: WarmupParameters) -> str:
    """Which column splits users, and what showed it, in words."""
    if fixed.segment_column < 0:
        return "no profile column splits the users by what they like: all are one segment."
    name = fixed.column_names[fixed.segment_column]
    if not fixed.segments_since:
        return f"'{name}' splits the users, as the warm-up shows."
    day = fixed.segments_since * fixed.step_seconds // SECONDS_A_DAY
    return f"'{name}' splits the users from day {day} on, when a refit found it."


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


def _column_before(
    profiles: Profiles, rows: Impressions, looks: Sequence[Look], number: int
) -> int:
    return choose_segment_column(profiles, rows[_is_seen(rows, *looks[number])])


def choose_segment_column(profiles: Profiles, rows: Impressions) -> int:
    """The profile column whose codes differ most in the posts that they like; -1 if none does.

    A permutation test: a column's difference is compared with that of its codes permuted among
    users who like about as often. Each user keeps all rows, so that neither one who likes much, nor
    a code of few users, nor one of a higher like rate passes for a difference. Of the columns that
    exceed their own chance by `CERTAIN` standard deviations, the one that exceeds it most is taken.

    Args:
        profiles: of all users.
        rows: impressions of some users, in any order.
    """
    n_posts = int(rows.post.max(initial=0)) + 1
    kept = np.argsort(-np.bincount(rows.post, minlength=n_posts), kind="stable")[:MOST_POSTS]
    rows = rows[np.isin(rows.post, kept)]
    _, post = np.unique(rows.post, return_inverse=True)
    users, user = np.unique(rows.user, return_inverse=True)
    n_permutations = int(
        np.clip(PERMUTED_ROWS // max(len(rows), 1), FEWEST_PERMUTATIONS, MOST_PERMUTATIONS)
    )
    rng, best, most = np.random.default_rng(SEED), -1, 0.0
    stratum = _strata(user, rows.liked, rng)
    for column, about in enumerate(profiles.columns):
        codes = profiles.codes[users, column].astype(np.int64)
        difference = partial(_difference, about.n_codes, user, post, rows.liked)
        chances = (difference(_permuted(codes, stratum, rng)) for _ in range(n_permutations))
        found, chance = difference(codes), list(islice(chances, FIRST_PERMUTATIONS))
        if found <= max(chance):
            continue
        chance += chances
        excess = found - float(np.mean(chance))
        if excess > max(most, CERTAIN * float(np.std(chance, ddof=1))):
            best, most = column, excess
    return best


def _strata(user: np.ndarray, liked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number of each user's tenth by like rate, ties in any order, shape (n_users,)."""
    counts = tally(user, liked, int(user.max(initial=-1)) + 1)
    rate = counts.liked / np.maximum(counts.shown, 1)
    rank = np.argsort(np.lexsort((rng.random(len(rate)), rate)))
    return np.asarray(rank * STRATA // max(len(rank), 1))


def _permuted(codes: np.ndarray, stratum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The codes, permuted within each stratum."""
    permuted = np.empty_like(codes)
    drawn = np.argsort(stratum + rng.random(len(codes)))  # a third of the time of `lexsort`
    permuted[np.argsort(stratum, kind="stable")] = codes[drawn]
    return permuted


def _difference(
    n_codes: int, user: np.ndarray, post: np.ndarray, liked: np.ndarray, codes: np.ndarray
) -> float:
    """Largest squared singular value of likes by code and post beyond those of the margins.

    As correspondence analysis has it (Greenacre 1984): a difference between codes shows in many
    posts at once, so that the first direction finds it long before a test of all cells does.
    """
    n_posts, code = int(post.max(initial=0)) + 1, codes[user]
    counts = tally(code * n_posts + post, liked, n_codes * n_posts).reshape(n_codes, n_posts)
    rate = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    expected = rate[:, None] * counts.shown
    # Each post keeps its own total: only the distribution over the codes is tested.
    expected *= counts.liked.sum(0) / np.maximum(expected.sum(0), np.finfo(float).tiny)
    total = counts.liked.sum()
    of_code = np.maximum(expected.sum(1), max(LEAST_SHARE * total, LEAST_LIKES))
    of_post = np.maximum(expected.sum(0), LEAST_LIKES)
    residual = (counts.liked - expected) * np.sqrt(total / np.outer(of_code, of_post))
    return float(np.linalg.eigvalsh(residual @ residual.T)[-1])
