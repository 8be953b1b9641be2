"""Second pass over the buckets: training rows, each with the state as of its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np

from feedrank.engines.engine import map_parts
from feedrank.features.question import Question
from feedrank.features.row_files import StoredRows, store_rows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import assemble, features_of
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.log.sampling import uniform_of
from feedrank.log.steps import n_steps, steps_of
from feedrank.params import Params
from feedrank.state.catalogue import Catalogue
from feedrank.state.counts.by_user import PairCounts
from feedrank.state.feature_store import FeatureStore
from feedrank.state.shared import WINDOWS, SharedHistory
from feedrank.state.users import UserState

# Marks of pairs: the 16,000 kept rows of a bucket at the reference size hit one in a thousand, so
# that as many rows of other pairs are counted too, to no effect.
PAIR_SLOTS = 16_777_213  # a prime: multiples of any number of posts fall into all of them


def training_rows(
    log: Log, store: FeatureStore, params: Params, rows_place: str | None = None
) -> TrainingRows | StoredRows:
    """Rows that a ranker is trained on: a sample of the impressions after the warm-up.

    Args:
        log: extracted feed.
        store: fitted on it.
        params: all of them.
        rows_place: URL where workers leave the rows if there are more than `engine.held_rows`;
            None: rows are returned, however many.

    Returns:
        Rows in the order of (at, user, post), whatever the number of buckets.
    """
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    share = min(
        params.features.row_share, params.features.max_rows / max(log.meta.n_impressions, 1)
    )
    # Without the histories, which are most of a store.
    of_store = (store.states, store.catalogue)
    job = partial(rows_of_bucket, log, *of_store, calendar.warmup_days, share, params.features.seed)
    if rows_place is not None and share * log.meta.n_impressions > params.engine.held_rows:
        names = [f.name for f in features_of(store.fitted)]
        return store_rows(job, log.meta.n_buckets, names, rows_place, params.engine.held_rows)
    whole = partial(_whole, job)
    return TrainingRows.joined(list(map_parts(whole, log.meta.n_buckets, "assembling"))).sorted()


def _whole(job: Callable[[int], Iterator[TrainingRows]], bucket: int) -> TrainingRows:
    return TrainingRows.joined(list(job(bucket)))


def rows_of_bucket(
    log: Log,
    states: SharedHistory,
    catalogue: Catalogue,
    warmup_days: int,
    share: float,
    seed: int,
    bucket: int,
) -> Iterator[TrainingRows]:
    """Training rows of one bucket, step by step in the order of (at, user, post)."""
    fitted = states.fitted
    rows = log.bucket(bucket)
    first, last = log.meta.user_range(bucket)
    user = (rows.user - np.uint32(first)).astype(np.int64)
    step = steps_of(rows, fitted.step_seconds)
    # A list is a row's user and moment: in part it would tell little of the order within it.
    kept = uniform_of((rows.user, rows.at), seed) < share
    kept &= rows.at >= warmup_days * SECONDS_A_DAY

    def counts_of(some: np.ndarray) -> PairCounts:
        return PairCounts(user[some], rows.post[some], step[some], rows.liked[some], fitted.n_posts)

    pairs = counts_of(np.flatnonzero(_same_pairs(user, rows.post, kept, fitted.n_posts)))
    recent = None
    if fitted.has_topics:
        recent = counts_of(np.flatnonzero(_shortly_before(user, step.astype(np.int64), kept)))
    profile = (catalogue.codes[first:last], pairs, catalogue.moments[first:last], recent)
    state = UserState(fitted, fitted.refits[0], *profile)
    features = features_of(fitted)
    edges = np.searchsorted(step, np.arange(n_steps(log, fitted.step_seconds) + 1))
    yield _labelled(np.empty((0, len(features)), np.float32), rows[:0])
    n_counted = 0
    for number, (low, high) in enumerate(pairwise(edges)):
        chosen = low + np.flatnonzero(kept[low:high])
        if not len(chosen):
            continue
        if state.refit is not fitted.refit(number):
            state, n_counted = UserState(fitted, fitted.refit(number), *profile), 0
        earlier, n_counted = slice(n_counted, low), low
        state.update(user[earlier], rows.post[earlier], rows.liked[earlier])
        some = rows[chosen]
        shared = states.of_posts(number, some.post)
        question = Question(shared, state, user[chosen], some.post, some.at)
        yield _labelled(assemble(features, question), some)


def _same_pairs(user: np.ndarray, post: np.ndarray, kept: np.ndarray, n_posts: int) -> np.ndarray:
    """A mask of the rows of the pairs of user and post that kept rows have, and of few others."""
    slot = (user * n_posts + post) % PAIR_SLOTS
    is_asked = np.zeros(PAIR_SLOTS, bool)
    is_asked[slot[kept]] = True
    return is_asked[slot]


def _shortly_before(user: np.ndarray, step: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A mask of the rows in the last steps before kept rows of the same user, and of some others.

    Time is looked at in blocks of the longest window: that of a kept row, and the one before.
    """
    n_blocks = int(step.max(initial=0)) // WINDOWS[-1] + 2
    slot = user * n_blocks + step // WINDOWS[-1] + 1
    is_asked = np.zeros((int(user.max(initial=-1)) + 1) * n_blocks, bool)
    is_asked[slot[kept]] = is_asked[slot[kept] - 1] = True
    return is_asked[slot]


def _labelled(matrix: np.ndarray, rows: Impressions) -> TrainingRows:
    return TrainingRows(matrix, rows.liked, rows.at, rows.user, rows.post)
