"""All that is learned from a log but the ranker: the warm-up, the eras, the passes."""

from __future__ import annotations

import numpy as np

from feedrank.coding import code_profiles
from feedrank.eras import era_days, fit_eras
from feedrank.folds import Calendar
from feedrank.knowledge import Knowledge, Texts
from feedrank.log import Log
from feedrank.params import Params
from feedrank.passes import count_posts, row_job, row_share, training_rows
from feedrank.recommender import Catalogue
from feedrank.rows import TrainingRows
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state import SharedCounts, SharedHistory
from feedrank.stored import StoredRows, store_rows
from feedrank.warmup import fit_encodings


def learn(
    log: Log, params: Params, rows_place: str | None = None
) -> tuple[Knowledge, TrainingRows | StoredRows]:
    """What a log teaches, and the rows that a ranker is trained on.

    Args:
        log: extracted feed.
        params: all of them.
        rows_place: URL where workers leave the rows if there are more than `engine.held_rows`;
            None: they are returned, however many.

    Raises:
        ParamsError: the log is too short for its warm-up, training and test.
        SchemaError: the warm-up holds no like.
    """
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    profiles = code_profiles(log.users, params.features.segments)
    encodings = fit_encodings(log, profiles, calendar, params.features)
    by_post, history = count_posts(log, profiles, encodings)
    days = era_days(calendar.warmup_days, log.meta.n_days, params.features.eras)
    encodings, by_column = fit_eras(
        log, profiles, encodings, by_post, history, days, params.features
    )
    shared = SharedCounts(by_post, by_column)
    ids = (log.users[USER_ID].to_numpy(np.int64), log.posts[POST_ID].to_numpy(np.int64))
    knowledge = Knowledge(
        log.meta,
        Catalogue(*ids, profiles.codes),
        profiles.columns,
        Texts.of(log.posts[TEXT].tolist()),
        Texts.of(log.posts[TOPIC].tolist()),
        encodings,
        shared,
        history,
    )
    job = row_job(log, profiles, SharedHistory(encodings, shared), calendar, params.features)
    n_rows = row_share(log, params.features) * log.meta.n_impressions
    if rows_place is not None and n_rows > params.engine.held_rows:
        names = [f.name for f in knowledge.features]
        held = params.engine.held_rows
        return knowledge, store_rows(job, log.meta.n_buckets, names, rows_place, held)
    return knowledge, training_rows(log, job)
