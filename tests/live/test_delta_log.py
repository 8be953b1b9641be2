"""The delta log keeps what it acknowledged, once, in order, for any number of processes."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from feedrank.live.delta_log import DeltaLog, DeltaLogError, delta_log_of
from feedrank.live.events import IMPRESSION, LIKE, LIKED, SOURCE, Happened

WRITER = """
import sys
from pathlib import Path
from feedrank.live.delta_log import DeltaLog
from feedrank.live.events import Happened
log = DeltaLog(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    rows = [(number, post, number, 0, f"{number}-{post}") for post in range(3)]
    log.append(Happened(events=rows, marks={"writer": str(number)}))
    print(number, flush=True)
    number += 1
"""


@pytest.fixture
def log(tmp_path: Path) -> DeltaLog:
    return DeltaLog(tmp_path / "delta.sqlite")


def test_events_come_back_in_order_of_arrival(log: DeltaLog) -> None:
    rows = [(7, 1, 300, IMPRESSION, None), (5, 2, 100, LIKED, None), (5, 2, 160, LIKE, None)]
    assert log.append(Happened(events=rows)) == 3
    found = log.events_after(0)
    assert found.user_id.tolist() == [7, 5, 5]
    assert found.at.tolist() == [300, 100, 160]
    assert found.kind.tolist() == [IMPRESSION, LIKED, LIKE]
    assert log.events_after(int(found.seq[0]), most=1).user_id.tolist() == [5]
    assert len(log.events_after(int(found.seq[-1]))) == 0


def test_the_same_event_is_one_by_its_id_or_by_its_row(log: DeltaLog) -> None:
    rows = [(7, 1, 300, IMPRESSION, "a"), (8, 1, 300, IMPRESSION, None)]
    assert log.append(Happened(events=rows)) == 2
    again = [(7, 1, 300, IMPRESSION, "b"), (9, 1, 301, IMPRESSION, "a"), *rows]
    assert log.append(Happened(events=again)) == 0
    assert log.events_after(0).user_id.tolist() == [7, 8]


def test_text_ids_come_back_as_the_catalogue_holds_them(log: DeltaLog) -> None:
    log.append(Happened(events=[("é1", "p", 5, IMPRESSION, None), ("u22", "p", 6, LIKED, None)]))
    found = log.events_after(0)
    assert [user.decode() for user in found.user_id.tolist()] == ["é1", "u22"]
    assert found.post_id.dtype.kind == "S"


def test_posts_users_and_hidden_posts_come_back_once(log: DeltaLog) -> None:
    for _ in range(2):
        log.append(
            Happened(
                posts=[(3, "words", "tech")],
                users=[(9, {"age": 30, "city": None})],
                hidden=[(3, True)],
            )
        )
    (post,), (user,) = log.posts_after(0), log.users_after(0)
    assert (post.post_id, post.text, post.topic) == (3, "words", "tech")
    assert (user.user_id, user.profile) == (9, {"age": 30, "city": None})
    (hidden,) = log.hidden_after(0)
    log.append(Happened(hidden=[(4, False), (3, False)]))
    (opened,) = log.hidden_after(hidden.seq)
    assert (opened.post_id, opened.is_hidden) == (3, None)


def test_a_post_is_hidden_as_long_as_anybody_hides_it(log: DeltaLog) -> None:
    log.append(Happened(hidden=[(3, True)], hidden_by="source"))
    log.append(Happened(hidden=[(3, True), (4, True)]))
    log.append(Happened(hidden=[(3, False), (4, False)]))
    assert [(h.post_id, h.is_hidden) for h in log.hidden_after(0)][-2:] == [(3, True), (4, None)]
    assert log.hidden_by("source") == {3}
    assert log.hidden_by("request") == set()


@pytest.mark.parametrize("who", ["request", "file", SOURCE])
def test_a_post_that_nobody_hides_any_more_is_open_if_the_source_says_so(
    log: DeltaLog, who: str
) -> None:
    for is_hidden in (True, False):
        log.append(Happened(hidden=[(3, is_hidden)], hidden_by=who))
    (post,) = log.hidden_after(0)
    assert post.is_hidden is (False if who == SOURCE else None)


def test_a_batch_that_fails_leaves_nothing(log: DeltaLog) -> None:
    with pytest.raises(DeltaLogError, match="cannot be used"):
        log.append(Happened(events=[(1, 1, 1, 0, None), (2, 1, None, 0, None)], marks={"a": "1"}))  # type: ignore[list-item]
    log.append(Happened(posts=[(1, "", "")]))
    assert len(log.events_after(0)) == 0
    assert log.mark("a") is None


def test_a_full_disk_is_the_reason_that_is_told(log: DeltaLog) -> None:
    log._file.execute("PRAGMA max_page_count = 1")  # of a file that has more: it may not grow
    with pytest.raises(DeltaLogError, match=r"\(database or disk is full\). Free some space"):
        log.append(Happened(posts=[(n, "x" * 1_000, "") for n in range(100)]))
    log._file.execute("PRAGMA max_page_count = 100000")
    assert log.append(Happened(events=[(1, 1, 1, 0, None)])) == 1


def test_what_every_artifact_holds_is_dropped_and_its_numbers_are_not_used_again(
    log: DeltaLog,
) -> None:
    log.append(Happened(events=[(1, 1, 10, 0, None), (1, 2, 20, 0, None)]))
    last = int(log.events_after(0).seq[-1])
    assert log.drop_until(20) == 2
    log.append(Happened(events=[(1, 3, 30, 0, None)]))
    assert log.events_after(last).post_id.tolist() == [3]


def test_an_embedding_comes_back_in_float32_and_the_first_one_holds(log: DeltaLog) -> None:
    log.append(Happened(posts=[(3, "", "", np.array([0.1, 2.0])), (4, "", "", None)]))
    log.append(Happened(posts=[(4, "", "", np.ones(2))]))
    first, second = log.posts_after(0)
    assert first.embedding is not None
    assert first.embedding.tolist() == np.array([0.1, 2.0], np.float32).tolist()
    assert second.embedding is None


def test_another_process_reads_what_one_wrote(log: DeltaLog) -> None:
    other = DeltaLog(log.path)
    log.append(Happened(events=[(1, 1, 10, 0, None)], marks={"feed": "10"}))
    assert len(other.events_after(0)) == 1
    assert other.mark("feed") == "10"


def test_the_file_is_its_owners_alone(log: DeltaLog) -> None:
    log.append(Happened(posts=[(1, "", "")]))
    files = list(log.path.parent.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("kind", ["text", "cut", "foreign"])
def test_a_file_that_is_no_delta_log_is_refused_with_a_remedy(log: DeltaLog, kind: str) -> None:
    log.append(Happened(events=[(user, 1, 10, 0, None) for user in range(5_000)]))
    log.close()
    other = log.path.with_name("other.sqlite")
    if kind == "text":
        other.write_text("a letter\n" * 1_000)
    elif kind == "cut":
        content = log.path.read_bytes()
        other.write_bytes(content[: len(content) // 2])
    else:
        with sqlite3.connect(other) as file:
            file.execute("CREATE TABLE accounts (id)")
    with pytest.raises(DeltaLogError, match=r"'.*other\.sqlite'.* [Mm]ove it away"):
        DeltaLog(other).append(Happened(events=[(user, 2, 10, 0, None) for user in range(5_000)]))


def test_a_log_that_was_moved_away_acknowledges_nothing_and_a_new_one_is_empty(
    log: DeltaLog,
) -> None:
    log.append(Happened(posts=[(1, "", "")]))
    log.path.rename(log.path.with_name("away"))  # its -wal and -shm are left
    with pytest.raises(DeltaLogError, match="moved away"):
        log.append(Happened(posts=[(2, "", "")]))
    new = DeltaLog(log.path)
    new.append(Happened(posts=[(3, "", "")]))
    assert [post.post_id for post in new.posts_after(0)] == [3]
    with pytest.raises(DeltaLogError, match="moved away"):
        log.posts_after(0)


def test_each_link_has_a_log_of_its_own(tmp_path: Path) -> None:
    one, two = delta_log_of(tmp_path, Path("/a/b")), delta_log_of(tmp_path, Path("/a%2Fb"))
    assert one != two
    assert one.parent == two.parent == tmp_path


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path, number, chance = tmp_path / "delta.sqlite", 0, random.Random(0)
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(chance.randint(1, 40))]
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.readlines()
        acknowledged = int([line for line in said if line.endswith("\n")][-1])
        log = DeltaLog(path)
        found = log.events_after(0)
        last = int(log.mark("writer") or -1)
        # One more may have been committed than its writer could say.
        assert acknowledged <= last <= acknowledged + 1
        assert found.user_id.tolist() == [n for n in range(last + 1) for _ in range(3)]
        log.close()
        number = last
