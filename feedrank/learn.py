"""All that is learned from a log but the ranker: the warm-up, then the two passes."""

from __future__ import annotations

from dataclasses import replace

from feedrank.folds import Calendar
from feedrank.knowledge import Knowledge
from feedrank.log import SECONDS_A_DAY, Log
from feedrank.params import Params
from feedrank.passes import count_shared, training_rows
from feedrank.profiles import Profiles
from feedrank.rows import TrainingRows
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
    profiles = Profiles.of(log.users, params.features.segments)
    encodings = fit_encodings(log, profiles, calendar, params.features)
    shared, history = count_shared(log, profiles, encodings)
    warm = calendar.warmup_days * SECONDS_A_DAY // params.features.step_seconds
    strengths = fit_strengths(encodings, shared, history, profiles.codes, warm)
    encodings = replace(encodings, strengths=strengths)
    knowledge = Knowledge.of(log.meta, log.users, log.posts, profiles, encodings, shared, history)
    states = SharedHistory(encodings, shared)
    return knowledge, training_rows(log, profiles, states, calendar, params.features)
