"""Fit: from a log to the feature store: warm-up, segments, counting pass and refits."""

from __future__ import annotations

import logging
from datetime import datetime

import numpy as np

from feedrank.learning.counting_pass import count_posts
from feedrank.learning.profile_coding import code_profiles, users_at_start
from feedrank.learning.refits import fit_refits, refit_days, refit_steps
from feedrank.learning.segments.find import with_segments, words_of
from feedrank.learning.warmup import fit_warmup
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.log.metadata import ALWAYS, NEVER
from feedrank.params import Params
from feedrank.schema import HIDDEN, POST_ID, TEXT, TOPIC, USER_ID
from feedrank.state.catalogue import NO_DAY, Catalogue, Texts, id_array
from feedrank.state.feature_store import FeatureStore
from feedrank.state.shared import SharedCounts

logger = logging.getLogger(__name__)


def fit_store(log: Log, params: Params) -> FeatureStore:
    """The feature store of a log: fitted parameters, counts over time and histories.

    Raises:
        ParamsError: the log is too short for its warm-up, training and test.
        SchemaError: the warm-up holds no like.
    """
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    profiles = code_profiles(users_at_start(log), params.features.segments)
    days = refit_days(calendar.warmup_days, log.meta.n_days, params.features.refits)
    firsts = refit_steps(days, params.features.step_seconds)
    fixed = fit_warmup(log, profiles, calendar, params.features)
    fixed = with_segments(log, profiles, fixed, firsts)
    logger.info("features: %s", words_of(fixed))
    (by_post, *by_key), history = count_posts(log, profiles, fixed)
    fitted, by_column = fit_refits(log, profiles, fixed, by_post, history, firsts, params.features)
    ids = (id_array(log.users[USER_ID].to_numpy()), id_array(log.posts[POST_ID].to_numpy()))
    return FeatureStore(
        log.meta,
        Catalogue(*ids, profiles.codes, moments_of(log), hidden_posts(log)),
        profiles.columns,
        Texts.of(log.posts[TEXT].tolist()),
        Texts.of(log.posts[TOPIC].tolist()),
        fitted,
        SharedCounts(by_post, by_column, tuple(by_key)),
        history,
    )


def moments_of(log: Log) -> np.ndarray:
    """Day of each moment of the users, counted from the log's first, int32, (n_users, n)."""
    return log.user_days.fillna(NO_DAY).to_numpy(np.int32)


def hidden_posts(log: Log) -> np.ndarray:
    """Seconds since the log's origin from which on each post is hidden; (0,) where none is."""
    if HIDDEN not in log.posts:
        return np.zeros(0, np.int64)
    hidden = log.posts[HIDDEN].to_numpy(np.int64)
    is_moment = (hidden > ALWAYS) & (hidden < NEVER)
    return np.where(is_moment, hidden + log.meta.seconds(datetime(1970, 1, 1)), hidden)
