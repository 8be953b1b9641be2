"""The notebook's tables hold what the service answers, what the log holds, what the ranker saw."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

import feedrank
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.notebook import Notebook
from feedrank.errors import SchemaError
from feedrank.features.row_pass import training_rows
from feedrank.log.files import Log
from feedrank.ranking.recommender import UnknownUserError
from tests.support.course.bundles import write_artifact
from tests.support.simulated_logs import (
    Learned,
    params,
    posts_table,
    random_rows,
    users_table,
    write_log,
)
from tests.support.small_artifact import CODE, MOMENT, small_params

pytest_plugins = ("tests.support.service_fixtures",)
AT = datetime.fromisoformat(MOMENT)
EXAMPLE = CODE / "docs" / "examples" / "explore.py"


@pytest.fixture(scope="module")
def feed(artifact_path: Path) -> Notebook:
    loaded: Notebook = feedrank.load(artifact_path)
    return loaded


def test_lists_are_those_of_the_recommender(feed: Notebook, artifact: Artifact) -> None:
    users = feed.users.index[[3, 8]].tolist()
    table = feed.recommend(users, AT)
    for user, rows in table.groupby("user_id"):
        expected = artifact.recommender.recommend(int(user), AT, 5)  # type: ignore[call-overload]
        assert list(zip(rows["post_id"], rows["probability"].tolist(), strict=True)) == expected
        assert rows["place"].tolist() == [1, 2, 3, 4, 5]


def test_it_says_what_it_is(feed: Notebook, artifact: Artifact) -> None:
    n_users, n_posts = len(feed.users), len(feed.posts)
    assert repr(feed) == (
        f"<feedrank: artifact {artifact.version}, {n_users:,} users, {n_posts:,} posts, "
        f"until {artifact.as_of}>"
    )


def test_a_score_and_the_effects_of_features_agree_with_the_list(
    feed: Notebook, user_id: int
) -> None:
    listed = feed.recommend(user_id, AT)
    scores = feed.score(user_id, listed["post_id"].tolist(), AT)
    assert scores.tolist() == listed["probability"].tolist()
    why = feed.explain(user_id, AT)
    assert why["post_id"].unique().tolist() == listed["post_id"].tolist()
    shown = feed.matrix(user_id, listed["post_id"].tolist(), AT)
    first = why[why["post_id"] == listed["post_id"][0]].set_index("feature")["value"]
    np.testing.assert_array_equal(first[shown.columns], shown.iloc[0])


def test_similar_posts_are_the_service_s(feed: Notebook, client: TestClient) -> None:
    post = int(feed.posts.index[9])
    answer = client.get(f"/post/{post}/similar", params={"limit": 4}).json()
    table = feed.similar(post, 4)
    assert table["post_id"].tolist() == [found["id"] for found in answer]
    assert table["similarity"].is_monotonic_decreasing
    assert post not in set(table["post_id"])


def test_an_unknown_user_or_post_is_named(feed: Notebook, user_id: int) -> None:
    with pytest.raises(UnknownUserError, match="there is no user -1"):
        feed.recommend(-1)
    with pytest.raises(KeyError, match="there is no post -7"):
        feed.score(user_id, [-7])


def test_a_table_of_nobody_has_no_row(feed: Notebook, user_id: int) -> None:
    nobody, one = feed.recommend([]), feed.recommend(user_id)
    assert len(nobody) == 0
    assert nobody.columns.tolist() == one.columns.tolist()


@pytest.mark.parametrize("k", [0, -3, 2.5, "5", None, True])
def test_a_length_that_is_none_is_told(feed: Notebook, user_id: int, k: Any) -> None:
    post = int(feed.posts.index[0])
    for ask in (
        lambda: feed.recommend(user_id, k=k),
        lambda: feed.explain(user_id, k=k),
        lambda: feed.similar(post, k),
    ):
        with pytest.raises(ValueError, match="k is a whole number from 1 on"):
            ask()


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"])
def test_a_moment_outside_the_calendar_is_told(feed: Notebook, user_id: int, at: str) -> None:
    with pytest.raises(ValueError, match=f"there is no such moment as {at[:4]}"):
        feed.recommend(user_id, datetime.fromisoformat(at))


@pytest.mark.parametrize("at", ["2021-10-20", date(2021, 10, 20), np.datetime64(AT), pd.NaT, 5])
def test_a_moment_that_is_none_is_told(feed: Notebook, user_id: int, at: Any) -> None:
    for ask in (feed.recommend, feed.explain, feed.history):
        with pytest.raises(TypeError, match="a moment is a datetime"):
            ask(user_id, at)


@pytest.mark.parametrize("several", [None, [200], pd.DataFrame({"user_id": [200]})])
def test_one_id_is_asked_where_one_is_meant(feed: Notebook, several: Any) -> None:
    for ask in (feed.explain, feed.history, lambda user: feed.score(user, [])):
        with pytest.raises(TypeError, match="name one user or post by its id"):
            ask(several)


@pytest.mark.parametrize("users", [{200}, {200: 1}, None, [[200]], [None]])
def test_a_user_is_named_by_an_id(feed: Notebook, users: Any) -> None:
    with pytest.raises(TypeError, match="name one user or post by its id"):
        feed.recommend(users)


@pytest.mark.parametrize("place", [None, 3, ["models/artifact"]])
def test_a_place_that_is_none_is_told(place: Any) -> None:
    for read in (feedrank.load, feedrank.read_log):
        with pytest.raises(TypeError, match="a folder is a text or a path, as 'models"):
            read(place)


def test_posts_are_named_by_a_list(feed: Notebook, user_id: int) -> None:
    with pytest.raises(TypeError, match="name posts by a list of ids"):
        feed.score(user_id, int(feed.posts.index[0]))  # type: ignore[arg-type]


def test_a_folder_without_training_rows_is_told(feed: Notebook, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SchemaError, match=r"holds no training rows\. Run `dvc repro features`"):
            feed.training_frame(place)


def test_the_log_and_a_users_history_hold_the_same_impressions(
    feed: Notebook, user_id: int, small_artifact_files: tuple[Path, Path]
) -> None:
    log = feedrank.read_log(small_artifact_files[1] / "log")
    assert len(log) == feed.artifact.store.meta.n_impressions
    own = log[log["user_id"] == user_id].sort_values("at", kind="stable")
    history = feed.history(user_id)
    assert history["post_id"].tolist() == own["post_id"].tolist()
    assert history["liked"].tolist() == own["liked"].tolist()
    assert (history["step"].to_numpy() == own["at"].dt.floor("D").to_numpy()).all()
    assert len(feed.history(user_id, AT)) == (own["at"] < AT.replace(hour=0)).sum()


def test_training_rows_come_with_names_and_ids(
    feed: Notebook, small_artifact_files: tuple[Path, Path], tmp_path: Path
) -> None:
    log = Log.open(small_artifact_files[1] / "log")
    rows = training_rows(log, feed.artifact.store, small_params())
    rows.save(tmp_path)
    frame = feed.training_frame(tmp_path)
    assert len(frame) == len(rows)
    row = frame.iloc[-1]
    again = feed.matrix(int(row["user_id"]), [int(row["post_id"])], row["at"].to_pydatetime())
    np.testing.assert_array_equal(row[again.columns].astype(np.float32), again.iloc[0])


@pytest.mark.parametrize("other", ["features", "users", "values"])
def test_training_rows_of_another_run_are_refused(
    feed: Notebook, small_artifact_files: tuple[Path, Path], tmp_path: Path, other: str
) -> None:
    log = Log.open(small_artifact_files[1] / "log")
    rows = training_rows(log, feed.artifact.store, small_params())
    n_users = len(feed.users)
    changed = {
        "features": {"matrix": rows.matrix[:, 1:]},
        "users": {"user": rows.user + np.uint32(n_users)},
        "values": {"matrix": np.nextafter(rows.matrix, np.float32(9))},
    }
    replace(rows, **changed[other]).save(tmp_path)
    with pytest.raises(SchemaError, match=r"not of this artifact.*run `dvc repro`"):
        feed.training_frame(tmp_path)


def test_profiles_and_posts_are_in_words(feed: Notebook) -> None:
    store = feed.artifact.store
    assert feed.users.columns.tolist() == [column.name for column in store.columns]
    code = int(store.catalogue.codes[4, 0])
    assert feed.users.iloc[4, 0] == store.columns[0].label(code)
    assert feed.posts.iloc[2]["text"] == store.text[2]


def test_the_example_draws_its_page(artifact_path: Path, tmp_path: Path) -> None:
    shutil.copytree(artifact_path, tmp_path / "models" / "artifact")
    (tmp_path / "data").mkdir()
    subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, check=True, capture_output=True)
    page = (tmp_path / "data" / "explore.html").read_text()
    assert page.count("<svg") == 3
    assert "Why these five" in page


def test_the_example_shows_all_users_as_one_where_no_column_tells_them_apart(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    users = users_table(60, city=["here", "there"] * 30)
    log = write_log(tmp_path / "log", users, posts_table(40), random_rows(4_000, 60, 40, days=30))
    made = Learned.of(log, params(features={"warmup_days": 7}))
    assert made.store.fitted.segment_column == -1
    write_artifact(tmp_path / "models", made)
    subprocess.run([sys.executable, EXAMPLE], cwd=tmp_path, check=True, capture_output=True)
    who_likes_what = (tmp_path / "data" / "explore.html").read_text().split("<h2>")[1]
    assert ">all users<" in who_likes_what
    assert ">city<" not in who_likes_what
