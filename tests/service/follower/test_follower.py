"""The follower takes every new row of a real database into the delta log, once."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
from sqlalchemy.engine import make_url

from feedrank.errors import SchemaError, SourceError
from feedrank.extraction.postgres.connection import Source
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import Happened
from feedrank.log.metadata import ALWAYS, NEVER, LogMeta
from feedrank.params import Params
from feedrank.state.catalogue import Catalogue, id_array, plain_ids
from service.follower.follower import Follower, FollowerSettings, Readers
from service.follower.session import Session
from service.follower.status import FollowerStatus
from tests.conftest import TestDatabase
from tests.support.postgres_tables import AS_PARTITIONED, AS_VIEW, DEFAULTS, SMALL

INDEX = "CREATE INDEX ON feed_data (timestamp)"
FD_SETSIZE = 1024
INSERT = "INSERT INTO feed_data VALUES ('{at}', {user}, {post}, '{action}', {target})"


def write_base(directory: Path, users: list[Any], posts: list[Any], hidden: list[int]) -> None:
    """What the follower reads of an artifact that ends on 2021-10-03 at 23:59:59."""
    directory.mkdir(exist_ok=True)
    meta = LogMeta("2021-10-01T00:00:00", 3 * 86_400 - 1, 3, 3, 4, 2, 3, "database")
    (directory / "feature_store.json").write_text(json.dumps({"meta": asdict(meta)}))
    ids = [id_array(np.array(sorted(i))) for i in (users, posts)]
    codes, days = np.zeros((len(users), 1), np.uint16), np.zeros((len(users), 0), np.int32)
    Catalogue(*ids, codes, days, np.array(hidden, np.int64)).save(directory)


@dataclass
class Followed:
    """A database, and all that its followers took."""

    database: TestDatabase
    log: DeltaLog
    artifact: Path
    params: Params
    overlap: float = 300.0

    def source(self, **changes: Any) -> None:
        self.params = replace(self.params, source=replace(self.params.source, **changes))

    def poll(self, *actions: Callable[[], object]) -> None:
        """Polls of a new follower on one connection, with an action before each but the first."""
        settings = FollowerSettings((self.artifact,), self.overlap, 1.0)
        with Session.opened(Source(self.database.url, self.params.source)) as session:
            with session.transaction() as transaction:
                readers = Readers(transaction, self.params, self.log, settings)
            for action in (None, *actions):
                if action is not None:
                    action()
                with session.transaction() as transaction:
                    readers.poll(transaction)

    def add(self, *rows: tuple[str, object, object, str, object]) -> None:
        self.database.execute(
            *(INSERT.format(at=at, user=u, post=p, action=a, target=t) for at, u, p, a, t in rows)
        )

    def events(self) -> list[tuple[Any, ...]]:
        """(user, post, moment, kind) in order of arrival."""
        found = self.log.events_after(0)
        at = [str(np.datetime64(second, "s")).replace("T", " ") for second in found.at.tolist()]
        users, posts = plain_ids(found.user_id), plain_ids(found.post_id)
        return list(zip(users, posts, at, found.kind.tolist(), strict=True))


@pytest.fixture
def followed(database: TestDatabase, tmp_path: Path) -> Followed:
    database.execute(SMALL)
    write_base(tmp_path / "artifact", [1, 3, 7], [10, 20, 30], [])
    return Followed(database, DeltaLog(tmp_path / "delta.sqlite"), tmp_path / "artifact", DEFAULTS)


NEW = ("2021-10-04 08:00:00", 7, 10, "view", 1)


@pytest.mark.parametrize("change", ["", INDEX, AS_VIEW, AS_PARTITIONED])
def test_rows_after_the_artifact_are_taken_once_from_any_kind_of_table(
    followed: Followed, change: str
) -> None:
    if change:
        followed.database.execute(*change.split(";"))
    followed.add(NEW, ("2021-10-04 08:00:01", 7, 10, "like", 0))
    later = ("2021-10-04 09:00:00.7", 1, 20, "view", 0)
    followed.poll(lambda: None, lambda: followed.add(later), lambda: None)
    assert followed.events() == [
        (7, 10, "2021-10-04 08:00:00", 1),
        (1, 20, "2021-10-04 09:00:00", 0),
    ]
    followed.poll(lambda: followed.add(("2021-10-04 09:00:02", 3, 20, "view", 0)))
    assert [user for user, *_ in followed.events()] == [7, 1, 3]


@pytest.mark.parametrize("change", ["SELECT 1", INDEX])
def test_a_row_that_was_not_yet_committed_is_taken_by_a_later_poll(
    followed: Followed, change: str
) -> None:
    """However many rows of other transactions came between: its window stays open."""
    followed.database.execute(change)
    followed.overlap = 60.0
    url = make_url(followed.database.url).set(drivername="postgresql")
    open_one = psycopg2.connect(url.render_as_string(hide_password=False))
    late = {"at": "2021-10-04 08:00:00", "user": 1, "post": 30, "action": "view", "target": 0}
    with open_one.cursor() as cursor:
        cursor.execute(INSERT.format(**late))
    many = """INSERT INTO feed_data SELECT timestamp '2021-10-05' + make_interval(secs => g), 7, 10,
        'view', 0 FROM generate_series(1, 30000) g"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.follower.feed_rows.SLACK_BLOCKS", 4)
        followed.poll(lambda: followed.database.execute(many), lambda: None)
        assert len(followed.events()) == 30_000
        # A new follower goes on from the log alone.
        followed.poll(open_one.commit)
    open_one.close()
    assert followed.events()[-1] == (1, 30, "2021-10-04 08:00:00", 0)
    assert len(followed.events()) == 30_001


def test_a_late_label_is_an_event_of_its_own(followed: Followed) -> None:
    followed.add(("2021-10-04 08:00:00", 7, 10, "view", 0))
    update = "UPDATE feed_data SET target = 1 WHERE timestamp = '2021-10-04 08:00:00'"
    followed.poll(lambda: followed.database.execute(update))
    assert [kind for *_, kind in followed.events()] == [0, 1]


def test_rows_that_are_no_events_are_left_for_the_audit(followed: Followed) -> None:
    followed.add(("infinity", 7, 10, "view", 0), ("2099-01-01", 7, 10, "view", 0))
    followed.add(("2021-10-04", 7, "NULL", "view", 0), ("2021-10-04", 7, 10, "view", 5))
    followed.add(("2021-10-04", 7, 10, "view", "NULL"), NEW)
    followed.poll()
    assert [at for _, _, at, _ in followed.events()] == ["2021-10-04 08:00:00"]


def test_likes_apart_are_events_of_one_table_or_of_two(followed: Followed) -> None:
    like = ("2021-10-04 08:05:00", 7, 10, "share", "NULL")
    followed.source(positive=["like", "share"], like_window="1h")
    followed.add(("2021-10-04 08:00:00", 7, 10, "view", 1), like)
    followed.poll()
    taken = followed.events()
    assert [kind for *_, kind in taken] == [0, 2]
    followed.database.execute(
        "CREATE TABLE likes AS SELECT * FROM feed_data WHERE action <> 'view'",
        "DELETE FROM feed_data WHERE action <> 'view'",
        "ALTER TABLE feed_data DROP target, DROP action",
    )
    followed.source(events="likes")
    followed.log = DeltaLog(followed.log.path.with_name("other.sqlite"))
    followed.poll()
    assert followed.events() == taken


@pytest.mark.parametrize("index", ["SELECT 1", INDEX])
def test_the_hour_that_a_clock_repeats_is_taken_whole(followed: Followed, index: str) -> None:
    """Clocks of Berlin went back from 3:00 to 2:00 on 2021-10-31, at 1:00 UTC."""
    followed.source(time_zone="Europe/Berlin")
    followed.overlap = 0.0
    followed.database.execute(
        "ALTER TABLE feed_data ALTER timestamp TYPE timestamptz USING timestamp AT TIME ZONE 'UTC'",
        index,
    )
    first = ("2021-10-31 00:59:00Z", 7, 10, "view", 0)
    second = ("2021-10-31 01:01:00Z", 1, 10, "view", 0)
    followed.add(first)
    followed.poll(lambda: followed.add(second))
    taken = [at for *_, at, _ in followed.events()]
    assert taken[1:] == ["2021-10-31 02:59:00", "2021-10-31 02:01:00"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("uuid", "lpad({}::text, 32, '0')::uuid"), ("text", "'é' || {}"), ("numeric", "{}")],
)
def test_ids_are_those_of_the_catalogue(followed: Followed, kind: str, value: str) -> None:
    for table, column in (
        ("user_data", "user_id"), ("post_text_df", "post_id"),
        ("feed_data", "user_id"), ("feed_data", "post_id"),
    ):  # fmt: skip
        using = value.format(column)
        followed.database.execute(f"ALTER TABLE {table} ALTER {column} TYPE {kind} USING {using}")
    text = "SELECT {0}::text FROM {1} ORDER BY 1"
    ids = [
        [i for (i,) in followed.database.execute(text.format(column, table))]
        for column, table in (("user_id", "user_data"), ("post_id", "post_text_df"))
    ]
    write_base(followed.artifact, ids[0][:2], ids[1], [])
    followed.database.execute(
        "INSERT INTO feed_data SELECT '2021-10-04 08:00', user_id, post_id, 'view', 0 "
        "FROM feed_data LIMIT 1"
    )
    followed.poll()
    ((user, post, *_),) = followed.events()
    assert (user in ids[0], post in ids[1]) == (True, True)
    assert [new.user_id for new in followed.log.users_after(0)] == ids[0][2:]
    assert followed.log.hidden_after(0) == []


def test_an_id_that_no_build_takes_is_left_for_its_error(followed: Followed) -> None:
    for table, column in (
        ("user_data", "user_id"), ("post_text_df", "post_id"),
        ("feed_data", "user_id"), ("feed_data", "post_id"),
    ):  # fmt: skip
        followed.database.execute(f"ALTER TABLE {table} ALTER {column} TYPE text")
    write_base(followed.artifact, ["1", "3", "7"], ["10", "20", "30"], [])
    insert = "INSERT INTO {} VALUES ({})"
    for i in ("repeat('é', 127) || 'x'", "repeat('é', 128)"):
        followed.database.execute(
            insert.format("user_data", f"{i}, 1, 20, ''"),
            insert.format("post_text_df", f"{i}, 'text', 'tech'"),
            insert.format("feed_data", f"'2021-10-04', {i}, '10', 'view', 0"),
            insert.format("feed_data", f"'2021-10-04', '7', {i}, 'view', 0"),
        )
    followed.poll()
    widest = "é" * 127 + "x"
    assert [user.user_id for user in followed.log.users_after(0)] == [widest]
    assert [post.post_id for post in followed.log.posts_after(0)] == [widest]
    assert sorted(event[:2] for event in followed.events()) == [("7", widest), (widest, "10")]


@pytest.mark.parametrize("change", ["SELECT 1", AS_VIEW.replace("feed_data", "post_text_df")])
def test_posts_come_are_hidden_opened_and_deleted(followed: Followed, change: str) -> None:
    followed.database.execute("ALTER TABLE post_text_df ADD deleted_at timestamp")
    followed.database.execute(*change.split(";"))
    table = "rows" if "VIEW" in change else "post_text_df"
    followed.source(hidden="deleted_at")
    set_to = f"UPDATE {table} SET deleted_at = {{}} WHERE post_id = {{}}"
    new = f"INSERT INTO {table} VALUES (40, NULL, NULL), (50, 'e', 'tech')"

    def change_all() -> None:
        followed.database.execute(new, set_to.format("now()", 20))
        followed.database.execute(f"DELETE FROM {table} WHERE post_id = 10")

    followed.poll(change_all, lambda: followed.database.execute(set_to.format("NULL", 20)))
    posts = [(p.post_id, p.text, p.topic) for p in followed.log.posts_after(0)]
    assert sorted(posts) == [(40, "", "unknown"), (50, "e", "tech")]
    assert {h.post_id: h.is_hidden for h in followed.log.hidden_after(0)} == {10: True, 20: False}
    # A follower that starts again finds what happened since.
    followed.database.execute(f"DELETE FROM {table} WHERE post_id = 40")
    followed.poll()
    assert followed.log.hidden_by("source") == {10, 40}


def test_a_posts_embedding_comes_with_its_row(followed: Followed) -> None:
    followed.database.execute("ALTER TABLE post_text_df ADD vector real[]")
    followed.source(embedding="vector")
    values = "(40, '', '', '{0.5,-2}'), (50, '', '', NULL), (60, '', '', '{NULL}')"
    followed.database.execute(f"INSERT INTO post_text_df VALUES {values}")
    followed.poll()
    found = {post.post_id: post.embedding for post in followed.log.posts_after(0)}
    assert found[40] is not None
    assert found[40].tolist() == [0.5, -2]
    assert found[50] is None
    assert found[60] is not None
    assert found[60].tolist() == []  # of no width that an artifact has: its words place it


def test_a_post_that_others_sent_and_the_source_lacks_is_hidden_until_its_row_comes(
    followed: Followed,
) -> None:
    hidden = []

    def note() -> None:
        hidden.append(followed.log.hidden_by("source"))

    def send() -> None:
        followed.log.append(Happened(posts=[(40, "sent", "tech")]))

    def insert() -> None:
        note()
        followed.database.execute("INSERT INTO post_text_df VALUES (40, 'sent', 'tech')")

    followed.poll(send, insert, note)
    assert hidden == [{40}, set()]


def test_a_post_that_the_artifact_hides_is_opened_and_a_request_s_stays_hidden(
    followed: Followed,
) -> None:
    followed.database.execute("ALTER TABLE post_text_df ADD is_hidden boolean")
    followed.source(hidden="is_hidden")
    write_base(followed.artifact, [1, 3, 7], [10, 20, 30], [NEVER, ALWAYS, NEVER])
    followed.log.append(Happened(hidden=[(30, True)]))
    followed.poll(lambda: None)
    followed.poll()
    hidden = [(h.post_id, h.is_hidden) for h in followed.log.hidden_after(0)]
    assert hidden == [(30, True), (20, False)]


def test_new_users_come_with_their_profile(followed: Followed) -> None:
    new = "INSERT INTO user_data VALUES (9, 1, NULL, 'Omsk'), (8, NULL, 20, NULL)"
    followed.poll(lambda: followed.database.execute(new))
    users = {user.user_id: user.profile for user in followed.log.users_after(0)}
    assert users == {
        9: {"gender": 1, "age": None, "city": "Omsk"},
        8: {"gender": None, "age": 20, "city": None},
    }


def test_arrays_and_moments_of_a_profile_are_lists_and_days(followed: Followed) -> None:
    followed.database.execute(
        "ALTER TABLE user_data ADD tags text[], ADD joined timestamp",
        "INSERT INTO user_data VALUES (9, 1, 40, 'Omsk', '{b,a}', '2021-09-30 10:00')",
    )
    followed.source(profile=["tags", "joined"])
    followed.poll()
    ((user),) = followed.log.users_after(0)
    assert user.profile == {"tags": ["a", "b"], "joined": "2021-09-30 00:00:00"}


def test_only_the_share_of_users_of_the_extract_is_followed(followed: Followed) -> None:
    extract = replace(followed.params.extract, user_share=0.5)
    followed.params = replace(followed.params, extract=extract)
    followed.database.execute(
        "INSERT INTO user_data SELECT g FROM generate_series(100, 1099) g",
        "INSERT INTO feed_data SELECT '2021-10-04', g, 10, 'view', 0 "
        "FROM generate_series(100, 1099) g",
    )
    followed.poll()
    users = {user.user_id for user in followed.log.users_after(0)}
    assert 400 < len(users) < 600
    assert {user for user, *_ in followed.events()} == users


def test_a_table_that_is_written_again_or_another_database_loses_nothing(
    followed: Followed,
) -> None:
    followed.poll(lambda: followed.add(NEW))
    followed.add(("2021-10-04 09:00:00", 1, 20, "view", 0))
    followed.database.alone("VACUUM FULL feed_data")
    followed.poll()
    assert len(followed.events()) == 2
    # A copy, whose numbers of transactions are not those of the original.
    followed.add(("2021-10-04 10:00:00", 3, 20, "view", 0))
    mark = json.loads(followed.log.mark("follower feed") or "")
    mark[4:6] = [10**9, 10**9]
    followed.log.append(Happened(marks={"follower feed": json.dumps(mark)}))
    followed.poll()
    assert len(followed.events()) == 3


def test_an_older_artifact_gets_its_own_rows(followed: Followed) -> None:
    """As after a rollback: the artifact lacks rows that no follower has read yet."""
    followed.poll()
    about = json.loads((followed.artifact / "feature_store.json").read_text())
    about["meta"]["last_at"] = 86_400
    (followed.artifact / "feature_store.json").write_text(json.dumps(about))
    followed.poll()
    assert [at for *_, at, _ in followed.events()] == [
        "2021-10-02 08:00:00", "2021-10-02 08:00:11", "2021-10-03 23:59:59",
    ]  # fmt: skip


def test_a_table_of_posts_without_a_row_hides_nothing(followed: Followed) -> None:
    with pytest.raises(SchemaError, match="every post would be hidden"):
        followed.poll(lambda: followed.database.execute("DELETE FROM post_text_df"))
    assert followed.log.hidden_after(0) == []


class Away(Source):
    """A source that cannot be reached for the first hour of a clock that jumps where one waits."""

    def __init__(self, followed: Followed) -> None:
        super().__init__(followed.database.url, followed.params.source)
        self.followed, self.now, self.waits = followed, 0.0, list[float]()
        self.behind: list[float] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        status = FollowerStatus.read(self.followed.log.path)
        if status is not None and status.error is None:
            raise KeyboardInterrupt  # it has caught up
        self.waits.append(seconds)
        self.now += seconds
        self.behind.append(self.now - status.caught_up_at if status else 0.0)

    @contextmanager
    def session(self) -> Iterator[Any]:
        if self.now < 3600:
            raise SourceError("the database cannot be reached")
        with super().session() as connection:
            yield connection


def test_a_database_that_is_away_for_an_hour_costs_half_a_minute_and_no_row(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.add(NEW)
    followed.poll()
    away = Away(followed)
    monkeypatch.setattr("service.follower.follower.time", away)
    followed.add(*((f"2021-10-04 09:{minute:02}:00", 7, 20, "view", 0) for minute in range(60)))
    settings = FollowerSettings((followed.artifact,), followed.overlap, 1.0)
    with pytest.raises(KeyboardInterrupt):
        Follower(away, followed.params, followed.log.path, settings).run()
    assert away.now < 3600 + 30
    assert max(away.waits) == 30
    assert len(away.waits) < 130  # tries
    assert away.behind[-1] == away.now
    assert len(followed.events()) == len(set(followed.events())) == 61


def test_a_notification_ends_the_wait(followed: Followed) -> None:
    source = Source(followed.database.url, followed.params.source)
    with Session.opened(source) as session:
        followed.database.execute("NOTIFY feedrank")
        session.wait(3600.0)


def test_a_process_with_many_open_files_still_waits(followed: Followed) -> None:
    source = Source(followed.database.url, followed.params.source)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while opened.enter_context(open(os.devnull)).fileno() <= FD_SETSIZE:
            pass
        session = opened.enter_context(Session.opened(source))
        session.wait(0.0)


def test_a_connection_that_is_lost_is_an_error_of_the_source(followed: Followed) -> None:
    end = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    with pytest.raises(SourceError):
        followed.poll(lambda: followed.database.execute(end))
