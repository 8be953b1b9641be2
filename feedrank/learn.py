"""All that is learned from a log but the ranker: the warm-up, then the two passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feedrank.coding import code_profiles
from feedrank.folds import Calendar
from feedrank.knowledge import Knowledge, Texts
from feedrank.log import SECONDS_A_DAY, Log
from feedrank.params import Params
from feedrank.passes import count_shared, training_rows
from feedrank.recommender import Catalogue
from feedrank.rows import TrainingRows
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state import SharedHistory
from feedrank.strengths import fit_strengths
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
    shared, history = count_shared(log, profiles, encodings)
    warm = calendar.warmup_days * SECONDS_A_DAY // params.features.step_seconds
    strengths = fit_strengths(encodings, shared, history, profiles.codes, warm)
    encodings = replace(encodings, strengths=strengths)
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
