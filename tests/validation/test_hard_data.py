"""Networks that are unlike the usual one; each goes all the way to a list, or to a message."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.errors import ParamsError, SchemaError
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.report.page import Reports, page_of
from feedrank.training.importance import importance
from feedrank.validation.fold import run_fold
from feedrank.validation.results.details import calibration_of, curve_of, days_of
from feedrank.validation.results.slices import slice_table, topic_table
from feedrank.validation.results.summary import Summary
from tests.support.simulated_logs import (
    DAY,
    HOUR,
    Learned,
    params,
    posts_table,
    random_rows,
    saved,
    users_table,
    workers,
    write_log,
)

N_USERS, N_POSTS = 60, 40
FEW = {"validate": {"requests": 60, "bootstrap": 50}, "train": {"trees": 10}}
RNG = np.random.default_rng(0)
AGE = RNG.integers(14, 60, N_USERS).astype(float)
CITY = RNG.choice(["Kazan", "Moscow", "Perm"], N_USERS)


@dataclass
class Hard:
    """A network, and parameters beside the usual ones."""

    users: pd.DataFrame = field(default_factory=lambda: users_table(N_USERS, age=AGE, city=CITY))
    posts: pd.DataFrame = field(default_factory=lambda: posts_table(N_POSTS))
    rows: Impressions = field(default_factory=lambda: random_rows(4000, N_USERS, N_POSTS, 20))
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    buckets: int = 2

    def log(self, directory: Path) -> Log:
        return write_log(directory, self.users, self.posts, self.rows, self.buckets)


def _age_mostly_null() -> pd.DataFrame:
    return users_table(N_USERS, age=np.where(np.arange(N_USERS) % 12, np.nan, AGE), city=CITY)


def _liked_where(hard: Hard, always: np.ndarray, never: np.ndarray) -> Hard:
    rows = hard.rows
    liked = np.where(always, 1, np.where(never, 0, rows.liked)).astype(np.uint8)
    hard.rows = Impressions(rows.user, rows.post, rows.at, liked)
    return hard


def _some_days_all_liked() -> Hard:
    hard = Hard()
    day = hard.rows.at // DAY
    return _liked_where(hard, (day == 1) | (day == 8) | (day == 19), day < 0)


def _one_day_never_liked() -> Hard:
    hard = Hard()
    return _liked_where(hard, hard.rows.at < 0, hard.rows.at // DAY == 19)


def _only_half(of: str, rows: Impressions) -> Impressions:
    return rows[getattr(rows, of) % 2 == 0]


def _huge_ids() -> Hard:
    users, posts = users_table(N_USERS, age=AGE), posts_table(N_POSTS)
    users["user_id"] = 2**63 - 1 - np.arange(N_USERS)[::-1] ** 5
    posts["post_id"] = -(2**62) + np.arange(N_POSTS) ** 7
    return Hard(users, posts)


def _strange_names() -> Hard:
    columns = {"user": CITY, "age[years]": AGE, "a<b": CITY, "post": AGE, "a b": AGE[::-1]}
    return Hard(users_table(N_USERS, **columns))


HARD = {
    "no profile columns": lambda: Hard(users_table(N_USERS)),
    "constant profile columns": lambda: Hard(users_table(N_USERS, age=30, city="Kazan")),
    "age mostly NULL": lambda: Hard(_age_mostly_null()),
    "strange column names": _strange_names,
    "texts empty": lambda: Hard(posts=posts_table(N_POSTS, words=False)),
    "texts and topics empty": lambda: Hard(posts=posts_table(N_POSTS, 1, words=False)),
    "one topic": lambda: Hard(posts=posts_table(N_POSTS, topics=1)),
    "a topic for each post": lambda: Hard(posts=posts_table(N_POSTS, topics=N_POSTS)),
    "all liked on some days": _some_days_all_liked,
    "nothing liked on the last day": _one_day_never_liked,
    "nearly everything liked": lambda: Hard(rows=random_rows(4000, 60, 40, 20, like_rate=0.8)),
    "hardly anything liked": lambda: Hard(rows=random_rows(6000, 60, 40, 20, like_rate=0.01)),
    "users without an impression": lambda: Hard(rows=_only_half("user", Hard().rows)),
    "posts never shown": lambda: Hard(rows=_only_half("post", Hard().rows)),
    "50 users": lambda: Hard(users_table(50, age=AGE[:50]), rows=random_rows(2500, 50, 40, 20)),
    "200 users": lambda: Hard(users_table(200), rows=random_rows(8000, 200, 40, 20)),
    "one post more than k": lambda: Hard(
        posts=posts_table(6), rows=random_rows(3000, N_USERS, 6, 20)
    ),
    "fewer posts than k": lambda: Hard(
        posts=posts_table(3), rows=random_rows(3000, N_USERS, 3, 20)
    ),
    "3 users, 7 posts": lambda: Hard(
        users_table(3, age=AGE[:3]), posts_table(7), random_rows(60, 3, 7, 10), buckets=1
    ),
    "more buckets than users": lambda: Hard(
        users_table(3), posts_table(7), random_rows(200, 3, 7, 10), buckets=8
    ),
    "one user": lambda: Hard(users_table(1), rows=random_rows(600, 1, N_POSTS, 20)),
    "huge and negative ids": _huge_ids,
    "steps of 12 hours": lambda: Hard(params={"features": {"step": "12h"}}),
    "steps of 7 days": lambda: Hard(params={"features": {"step": "7d"}}),
    "steps longer than the log": lambda: Hard(params={"features": {"step": "60d"}}),
    "10 days": lambda: Hard(rows=random_rows(3000, N_USERS, N_POSTS, 10)),
    "3 days of hours": lambda: Hard(
        rows=random_rows(3000, N_USERS, N_POSTS, 3), params={"features": {"step": "1h"}}
    ),
    "days without an impression": lambda: Hard(
        rows=Hard().rows[(Hard().rows.at // DAY < 7) | (Hard().rows.at // DAY == 19)]
    ),
    "all sessions shorter than k": lambda: Hard(
        rows=random_rows(900, N_USERS, N_POSTS, 20, sessions=600)
    ),
    "everything liked is not shown again": lambda: Hard(params={"export": {"exclude": "liked"}}),
    "nothing is shown twice": lambda: Hard(
        posts=posts_table(8),
        rows=random_rows(9000, N_USERS, 8, 20),
        params={"export": {"exclude": "seen"}},
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_data_goes_all_the_way(name: str, tmp_path: Path) -> None:
    hard = HARD[name]()
    log = hard.log(tmp_path / "log")
    made = Learned.of(log, params(**FEW, **hard.params))
    linear = list(made.ranker.first_stage.columns)
    assert not np.isnan(made.rows.matrix[:, linear]).any()
    _lists_are_sound(made)
    features, ranker = saved(made, tmp_path)
    _validation_is_sound(made, features)
    export(tmp_path / "artifact", features, ranker, made.params.export, {}, seed=1, k=5)
    assert Artifact.load(tmp_path / "artifact").manifest["log"]["n_users"] == len(hard.users)


def _lists_are_sound(made: Learned) -> None:
    log, recommender = made.log, made.recommender
    known = set(log.posts["post_id"].tolist())
    for user in log.users["user_id"].tolist()[:: max(1, len(log.users) // 10)]:
        for at in (-DAY, 3 * HOUR, log.meta.last_at // 2, log.meta.last_at + 30 * DAY):
            found = dict(recommender.recommend(user, log.meta.moment(at), 5))
            probabilities = list(found.values())
            assert found.keys() <= known
            assert all(0 < p < 1 for p in probabilities)
            assert probabilities == sorted(probabilities, reverse=True)
            if at < 0 or made.params.export.exclude == "nothing":
                assert len(found) == min(5, len(known))


def _validation_is_sound(made: Learned, features: Path) -> None:
    log, all_params = made.log, made.params
    calendar = Calendar.of(log.meta, None, None)
    with workers(1), threadpool_limits(1):
        results = [
            run_fold(
                log, features, made.rows, fold, all_params
            )
            for fold in calendar.folds(2)
        ]  # fmt: skip
    validate, store = all_params.validate, made.store
    summary, slices = Summary.of(results, validate), slice_table(results, store, validate)
    metrics = summary.metrics(None)
    details = summary.details(slices, topic_table(results, store, 5))
    assert 0 <= metrics["hitrate@5"]["expected"] <= 1
    assert metrics["hitrate@5"]["n_requests"] > 0
    json.dumps([metrics, details], allow_nan=False)
    tables = (
        days_of(results, log, validate, summary.trust),
        calibration_of(results),
        slices,
        curve_of(results),
    )
    effects = importance(made.ranker, made.rows.matrix)
    page = page_of(Reports(metrics, details, *tables, effects, None))
    assert "NaN" not in page
    assert len(summary.requests(log, store.catalogue)) == metrics["hitrate@5"]["n_requests"]


def test_a_feed_without_a_like_is_refused(tmp_path: Path) -> None:
    hard = Hard(rows=random_rows(2000, N_USERS, N_POSTS, 20, like_rate=0.0))
    with pytest.raises(SchemaError, match="no view of the feed was liked") as caught:
        Learned.of(hard.log(tmp_path), params())
    assert "warmup_days" not in str(caught.value), "a longer warm-up would not help"


def test_a_feed_that_is_liked_only_after_the_warm_up_is_refused(tmp_path: Path) -> None:
    hard = Hard()
    hard = _liked_where(hard, hard.rows.at < 0, hard.rows.at < 10 * DAY)
    with pytest.raises(SchemaError, match=r"first 4 days .* raise 'features.warmup_days'"):
        Learned.of(hard.log(tmp_path / "a"), params())
    assert Learned.of(hard.log(tmp_path / "b"), params(features={"warmup_days": 12}))


def test_a_feed_that_is_liked_only_in_the_warm_up_is_refused(tmp_path: Path) -> None:
    hard = Hard()
    hard = _liked_where(hard, hard.rows.at < 0, hard.rows.at >= 4 * DAY)
    with pytest.raises(SchemaError, match=r"training rows 0 are liked; .* Extract a longer period"):
        Learned.of(hard.log(tmp_path), params())


def test_a_feed_where_everything_is_liked_is_refused(tmp_path: Path) -> None:
    hard = Hard()
    hard = _liked_where(hard, hard.rows.at >= 0, hard.rows.at < 0)
    with pytest.raises(SchemaError, match="a ranker needs both liked rows and others"):
        Learned.of(hard.log(tmp_path), params())


@pytest.mark.parametrize("days", [1, 2])
def test_a_log_without_a_day_for_each_use_is_refused(days: int, tmp_path: Path) -> None:
    hard = Hard(rows=random_rows(2000, N_USERS, N_POSTS, days))
    with pytest.raises(ParamsError, match=rf"the log has {days} days?, but 3 are the least"):
        Learned.of(hard.log(tmp_path), params(features={"step": "1h"}))


def test_fifty_thousand_posts_are_ranked(tmp_path: Path) -> None:
    n = 50_000
    hard = Hard(posts=posts_table(n, topics=20), rows=random_rows(20_000, N_USERS, n, 10))
    changes = {"export": {"candidates": 400}, "features": {"refits": 1}}
    made = Learned.of(hard.log(tmp_path), params(**changes))
    found = made.recommender.recommend(10, made.log.meta.moment(9 * DAY), 5)
    assert len(found) == 5
