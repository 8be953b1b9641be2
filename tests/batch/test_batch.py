"""A batch holds the service's lists, whole or not at all, and goes on after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from feedrank.batch import __main__ as batch
from feedrank.batch import lists
from feedrank.errors import INTERRUPTED
from feedrank.io.writer_lock import one_writer
from feedrank.live.delta_log import DeltaLog, delta_log_of
from feedrank.live.events import LIKED, Happened
from service.app import create_app
from tests.support.small_artifact import CODE, MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture
def run(artifact_path, tmp_path, monkeypatch, capsys):
    """Runs the command on the small artifact, in parts of 150 users; what it said on stderr."""
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    monkeypatch.setenv("FEEDRANK_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(lists, "PART_USERS", 150)

    def run(*arguments, code=0):
        command = ["batch", "--artifact", artifact_path, "--at", MOMENT, *arguments]
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in command])
        assert batch.main() == code
        return capsys.readouterr().err

    return run


def _found(path):
    """Ids and probabilities of each user's list, best first."""
    table = pq.read_table(path).to_pandas()
    assert (table.groupby("user_id").cumcount() + 1 == table["place"]).all()
    return {
        user: list(zip(own["post_id"], own["probability"].astype(float), strict=True))
        for user, own in table.groupby("user_id")
    }


def test_a_batch_holds_the_services_lists_to_the_last_bit(run, client, artifact, tmp_path):
    run("--out", tmp_path / "lists.parquet", "--k", 7)

    found = _found(tmp_path / "lists.parquet")
    at = datetime.fromisoformat(MOMENT)
    ids = artifact.store.catalogue.user_ids.tolist()
    assert found == {user: artifact.recommender.recommend(user, at, 7) for user in ids}
    for user in ids[::40]:
        query = {"id": user, "time": MOMENT, "limit": 7}
        served = client.get(f"{PATH}explain", params=query).json()["recommendations"]
        assert found[user] == [(post["id"], post["probability"]) for post in served]


def test_a_batch_follows_the_delta_log(run, settings, artifact, tmp_path, monkeypatch):
    user = int(artifact.store.catalogue.user_ids[5])
    best = artifact.recommender.recommend(user, datetime.fromisoformat(MOMENT), 5)[0][0]
    settings.state.mkdir(mode=0o700)
    monkeypatch.setenv("FEEDRANK_STATE", str(settings.state))
    with closing(DeltaLog(delta_log_of(settings.state, settings.artifact))) as log:
        log.append(Happened(hidden=[(best, True)], users=[(10**9, {"age": 30})]))
    run("--out", tmp_path / "lists.parquet")

    found = _found(tmp_path / "lists.parquet")
    assert best not in [post for own in found.values() for post, _ in own]
    query = {"time": MOMENT}
    with TestClient(create_app(settings)) as client:
        for one in (user, 10**9):
            served = client.get(PATH, params={**query, "id": one}).json()
            assert [post for post, _ in found[one]] == [post["id"] for post in served]


def test_a_batch_as_of_now_is_the_services_of_now(run, settings, artifact, tmp_path):
    run("--out", tmp_path / "lists.parquet", "--at", "now")

    at = pq.read_schema(tmp_path / "lists.parquet").metadata[b"at"].decode()
    user = int(artifact.store.catalogue.user_ids[5])
    with TestClient(create_app(settings)) as client:
        served = client.get(PATH, params={"id": user, "time": at}).json()
    found = _found(tmp_path / "lists.parquet")[user]
    assert [post for post, _ in found] == [post["id"] for post in served]


def test_processes_do_not_change_a_bit(run, tmp_path, monkeypatch):
    run("--out", tmp_path / "one.parquet")
    monkeypatch.setenv("FEEDRANK_WORKERS", "2")
    run("--out", tmp_path / "two.parquet")

    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.fixture
def killed(run, tmp_path, monkeypatch):
    """A run that ended after its first part; its files, and the moment that it began with."""
    (tmp_path / "lists.parquet").write_text("previous")
    real = lists.lists_of
    monkeypatch.setattr(lists, "lists_of", _ends_at_second_call(real))
    run("--out", tmp_path / "lists.parquet", "--at", "now", code=INTERRUPTED)
    monkeypatch.setattr(lists, "lists_of", real)
    return tmp_path / ".lists.parquet.parts"


def _ends_at_second_call(real):
    calls = []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return real(*arguments)

    return once


def test_a_killed_run_leaves_the_previous_file_and_goes_on(run, killed, tmp_path, monkeypatch):
    assert (tmp_path / "lists.parquet").read_text() == "previous"
    assert [path.name for path in sorted(killed.iterdir())] == ["000000.parquet", "about.json"]
    ranked = []
    real = lists.lists_of
    monkeypatch.setattr(lists, "lists_of", lambda *a: ranked.append(len(a[1])) or real(*a))
    run("--out", tmp_path / "lists.parquet", "--at", "now")

    assert ranked == [150, 100]
    assert len(_found(tmp_path / "lists.parquet")) == 400
    assert not killed.exists()


def test_parts_of_another_job_are_not_used(run, killed, tmp_path):
    run("--out", tmp_path / "lists.parquet", "--k", 3)
    run("--out", tmp_path / "again.parquet", "--k", 3)

    assert _found(tmp_path / "lists.parquet") == _found(tmp_path / "again.parquet")


def test_a_run_that_goes_on_reads_what_it_read_before(run, artifact, tmp_path, monkeypatch):
    """Rows that came between leave no part of its lists, but a post that was hidden leaves all."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setenv("FEEDRANK_STATE", str(state))
    origin = (artifact.store.meta.origin_at - datetime(1970, 1, 1)).total_seconds()
    at = int(origin) + artifact.store.meta.last_at + 1
    posts, users = (
        ids.tolist()
        for ids in (artifact.store.catalogue.post_ids, artifact.store.catalogue.user_ids)
    )

    def events(post):
        return [(user, post, at, LIKED, None) for user in users]

    real = lists.lists_of
    with closing(DeltaLog(delta_log_of(state, artifact.directory))) as log:
        log.append(Happened(events=events(posts[3])))
        run("--out", tmp_path / "whole.parquet", "--at", "now")
        monkeypatch.setattr(lists, "lists_of", _ends_at_second_call(real))
        run("--out", tmp_path / "lists.parquet", "--at", "now", code=INTERRUPTED)
        monkeypatch.setattr(lists, "lists_of", real)
        log.append(Happened(events=events(posts[5]), users=[(10**9, {"age": 30})]))
        run("--out", tmp_path / "lists.parquet", "--at", "now")
        assert _found(tmp_path / "lists.parquet") == _found(tmp_path / "whole.parquet")
        monkeypatch.setattr(lists, "lists_of", _ends_at_second_call(real))
        run("--out", tmp_path / "lists.parquet", "--at", "now", code=INTERRUPTED)
        monkeypatch.setattr(lists, "lists_of", real)
        log.append(Happened(hidden=[(posts[3], True)]))
        run("--out", tmp_path / "lists.parquet", "--at", "now")
    found = _found(tmp_path / "lists.parquet")
    assert 10**9 in found
    assert posts[3] not in [post for own in found.values() for post, _ in own]


def test_now_of_another_step_is_another_run(run, killed, tmp_path, monkeypatch):
    about = json.loads((killed / "about.json").read_text())
    (killed / "about.json").write_text(json.dumps({**about, "at": about["at"] - 86_400}))
    ranked = []
    real = lists.lists_of
    monkeypatch.setattr(lists, "lists_of", lambda *a: ranked.append(len(a[1])) or real(*a))
    run("--out", tmp_path / "lists.parquet", "--at", "now")

    assert ranked == [150, 150, 100]


def test_two_runs_of_one_file_do_not_spoil_each_other(run, tmp_path):
    with one_writer(tmp_path / ".lists.parquet.lock"):
        said = run("--out", tmp_path / "lists.parquet", code=1)
    assert "another process writes beside" in said


def test_users_of_a_file_get_lists_and_unknown_ones_are_named(run, artifact, tmp_path, caplog):
    ids = artifact.store.catalogue.user_ids[[30, 4, 30]].tolist()
    (tmp_path / "users").write_text("".join(f"{i}\n" for i in [*ids, -7, "who"]))
    run("--out", tmp_path / "lists.parquet", "--users", tmp_path / "users")

    assert sorted(_found(tmp_path / "lists.parquet")) == sorted(set(ids))
    assert "2 users are not in the artifact: -7, who" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--at", "soon"], "'--at' is 'soon'; write now, or a moment"),
        (["--at", "0001-01-01T00:00:00+14:00"], "write now, or a moment"),
        (["--at", "9999-12-31T23:00:00-12:00"], "write now, or a moment"),
        (["--k", "0"], "'--k' is 0; write a whole number from 1 to 100"),
        (["--users", "nowhere"], "'nowhere' cannot be read"),
        (["--artifact", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(run, tmp_path, arguments, says):
    assert says in run("--out", tmp_path / "lists.parquet", *arguments, code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_table_needs_a_database(run, monkeypatch):
    monkeypatch.delenv("FEED_DSN", raising=False)
    assert "FEED_DSN is not set" in run("--table", "lists", "--users", "select 1", code=1)


@pytest.fixture
def in_database(database, monkeypatch, tmp_path):
    """A database that the command reads users from and writes a table to."""
    monkeypatch.setenv("FEED_DSN", database.url)
    (tmp_path / "params.yaml").write_bytes((CODE / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return database


def test_a_table_holds_the_lists_and_a_second_run_replaces_them(run, in_database, artifact):
    first, second = artifact.store.catalogue.user_ids[:2].tolist()
    run("--table", "lists", "--users", f"select unnest(array[{first}, {second}])")
    run("--table", "lists", "--users", f"select {first}", "--k", 2, "--at", "2021-10-25")

    rows = in_database.execute(
        "SELECT user_id, post_id, probability::float8, at FROM lists ORDER BY user_id, place"
    )
    for user, at, k in ((first, "2021-10-25", 2), (second, MOMENT, 5)):
        moment = datetime.fromisoformat(at)
        own = [(post, np.float32(p), as_of) for one, post, p, as_of in rows if one == user]
        expected = artifact.recommender.recommend(user, moment, k)
        assert own == [(post, np.float32(p), moment) for post, p in expected]
    assert len(rows) == 7


def test_a_user_without_a_post_to_list_keeps_no_older_list(
    run, in_database, artifact, tmp_path, monkeypatch
):
    user = int(artifact.store.catalogue.user_ids[0])
    run("--table", "lists", "--users", f"select {user}")
    posts = artifact.store.catalogue.post_ids.tolist()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with closing(DeltaLog(delta_log_of(state, artifact.directory))) as log:
        log.append(Happened(hidden=[(post, True) for post in posts]))
    run("--table", "lists", "--users", f"select {user}")

    assert in_database.execute("SELECT * FROM lists") == []


def test_a_failed_write_leaves_the_table_as_it_was(run, in_database, artifact, monkeypatch):
    user = int(artifact.store.catalogue.user_ids[0])
    run("--table", "lists", "--users", f"select {user}")
    before = in_database.execute("SELECT * FROM lists ORDER BY place")
    in_database.execute("ALTER TABLE lists ADD CHECK (at <> '2021-10-25')")
    said = run("--table", "lists", "--users", f"select {user}", "--at", "2021-10-25", code=1)

    assert "violates check constraint" in said
    assert in_database.execute("SELECT * FROM lists ORDER BY place") == before


def test_a_run_killed_while_it_writes_a_table_shows_nothing_and_a_second_one_completes_it(
    run, in_database, artifact, artifact_path, monkeypatch
):
    monkeypatch.setattr(lists, "PART_USERS", 400)  # one part, as that of the other process
    command = [sys.executable, "-m", "feedrank.batch", "--artifact", artifact_path, "--at", MOMENT]
    users = artifact.store.catalogue.user_ids.tolist()
    asked = ("--table", "lists", "--users", f"select unnest(array{users})")
    rows = "SELECT user_id, place, post_id, at FROM lists ORDER BY user_id, place"
    run(*asked)
    expected = in_database.execute(rows)
    run(*asked[:3], f"select {users[0]}", "--at", "2021-10-25", "--k", 1)
    before = in_database.execute(rows)
    # The old lists are deleted by then, the new ones wait to be inserted.
    in_database.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'"
    )
    in_database.execute(
        "CREATE TRIGGER hold BEFORE INSERT ON lists FOR EACH STATEMENT EXECUTE FUNCTION hold()"
    )
    with closing(in_database._connect()) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1)")
        environment = {**os.environ, "PYTHONPATH": str(CODE)}
        with subprocess.Popen([*map(str, command), *asked], env=environment) as process:
            while not in_database.execute("SELECT pid FROM pg_locks WHERE NOT granted"):
                assert process.poll() is None
            process.kill()
    assert in_database.execute(rows) == before

    run(*asked)
    assert in_database.execute(rows) == expected


def test_a_role_that_may_not_write_is_told_what_it_needs(
    run, in_database, role, artifact, monkeypatch
):
    monkeypatch.setenv("FEED_DSN", role("reader"))
    user = artifact.store.catalogue.user_ids[0]
    said = run("--table", "lists", "--users", f"select {user}", code=1)

    assert "may not write" in said
    assert "it needs CREATE on schema 'public'" in said
