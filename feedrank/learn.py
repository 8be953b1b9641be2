"""All that is learned from a log but the ranker: the warm-up, the eras, the passes."""

from __future__ import annotations

import numpy as np

from feedrank.coding import code_profiles
from feedrank.eras import era_days, fit_eras
from feedrank.folds import Calendar
from feedrank.knowledge import Knowledge, Texts
from feedrank.log import Log
from feedrank.params import Params
from feedrank.passes import count_posts, training_rows
from feedrank.recommender import Catalogue
from feedrank.rows import TrainingRows
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state import SharedCounts, SharedHistory
from feedrank.warmup import fit_encodings


def learn(log: Log, params: Params) -> tuple[Knowledge, TrainingRows]:
    """What a log teaches, and the rows that a ranker is trained on.

    Raises:
        ParamsError: the log is too short for its warm-up, training and test.
        SchemaError: the warm-up holds no like.
    """
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    profiles = code_profiles(log.users, params.features.segments)
    encodings = fit_encodings(log, profiles, calendar, params.features)
    by_post, history = count_posts(log, profiles, encodings)
    days = era_days(calendar.warmup_days, log.meta.n_days, params.features.eras)
    encodings, by_column = fit_eras(log, profiles, encodings, by_post, days, params.features)
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
    states = SharedHistory(encodings, shared)
    return knowledge, training_rows(log, profiles, states, calendar, params.features)
