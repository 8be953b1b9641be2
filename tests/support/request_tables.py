"""Requests of a log, the lists of a baseline, and tables of hits as `dvc repro validate` writes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.log.sampling import lowest
from feedrank.ranking.recommender import Ranked
from feedrank.validation.baselines.baseline import Baseline
from feedrank.validation.replay.requests import Requests, Sessions

N = 900


def requests_of(log: Log, fold: Fold, step_seconds: int, n: int, seed: int) -> Requests:
    """A seeded sample of `n` requests of a fold's test period at most, in order of time."""
    sessions = Sessions.in_test(log, fold, step_seconds, seed)
    return sessions.requests(lowest(sessions.draw, n))[0]


def list_of(baseline: Baseline, user: int, at: int, k: int, among: np.ndarray) -> Ranked:
    """A baseline's k best of some posts."""
    return baseline.rank_many(np.array([user]), np.array([at]), k, [among])[0]


def hits_table(gain: float = 0.0, seed: int = 0, n: int = N) -> pd.DataFrame:
    """Requests of n / 3 users; `gain` is added to the chance of a hit."""
    common, own = np.random.default_rng(0), np.random.default_rng(seed)
    draw = common.random(n)
    hit = (draw < 0.5 + gain).astype(np.float32)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 3 * 7,
            "at": pd.Timestamp("2021-12-01") + pd.to_timedelta(np.arange(n) % 3, unit="h"),
            "fold": 0,
            "list": np.where(draw < 0.5 + gain, 1, 2).astype(np.uint32),
            "outcomes": (draw * 1e6).astype(np.uint32),
            "feedrank/expected@5": hit + own.normal(0, 0.05, n).astype(np.float32),
            "feedrank/shown@5": np.where(draw < 0.1, np.nan, hit).astype(np.float32),
            "most_liked/expected@5": hit,
        }
    )


def reordered(table: pd.DataFrame) -> pd.DataFrame:
    """The same hits of other lists."""
    return table.assign(list=table["list"] + 2)
