"""A/B test: assignment to arms, exposure log and report."""

from __future__ import annotations

import hashlib
import json
import resource
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from feedrank.log.exposures import Exposure, read_exposures
from feedrank.stats.ab_test import AbOutcomes, arm_rate, compare, mismatch_p
from service.ab import exposure_log
from service.ab.assignment import Assignment
from service.ab.exposure_log import ExposureLog
from service.ab_report import in_words, main
from service.app import create_app
from service.monitoring import metrics
from tests.support.service_process import start
from tests.support.small_artifact import MOMENT, PATH, export_again, small_params

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture(scope="session")
def other_path(small_artifact_files):
    """A second artifact, which answers otherwise."""
    _, scratch = small_artifact_files
    export_again(scratch / "other", scratch, replace(small_params().export, exclude="seen"))
    return scratch / "other"


@pytest.fixture
def compared(settings, other_path, tmp_path):
    """A service that compares two artifacts."""
    second = {"test_artifact": other_path, "exposures": tmp_path / "exposures"}
    with TestClient(create_app(settings.model_copy(update=second))) as client:
        yield client


def test_each_arm_gets_its_own_artifact_and_is_named(compared, artifact, other_path):
    other = Artifact.load(other_path)
    assignment = Assignment("feedrank", 0.5)
    ids = artifact.store.catalogue.user_ids[:40].tolist()
    assert len({assignment.arm(i) for i in ids}) == 2

    differ = 0
    for i in ids:
        answer = compared.get(f"{PATH}variant", params={"id": i, "time": MOMENT})
        by = other if assignment.arm(i) == "test" else artifact
        expected = by.recommender.recommend(i, datetime.fromisoformat(MOMENT), 5)
        differ += expected != artifact.recommender.recommend(i, datetime.fromisoformat(MOMENT), 5)
        assert answer.json()["exp_group"] == answer.headers["X-Exp-Group"] == assignment.arm(i)
        assert [p["id"] for p in answer.json()["recommendations"]] == [p for p, _ in expected]
    assert differ > 5  # or nothing would tell the two apart


def test_a_feed_of_either_arm_can_be_asked_for(compared, client, artifact, other_path):
    of_arm = {"control": artifact, "test": Artifact.load(other_path)}
    at, differ = datetime.fromisoformat(MOMENT), 0
    for i in artifact.store.catalogue.user_ids[:20].tolist():
        lists = []
        for arm, by in of_arm.items():
            feed = compared.get("/feed", params={"id": i, "time": MOMENT, "arm": arm}).json()
            assert "recommendations" in feed, feed
            lists.append([post["id"] for post in feed["recommendations"]])
            assert lists[-1] == [post for post, _ in by.recommender.recommend(i, at, 5)]
            assert feed["exp_group"] == arm
        differ += lists[0] != lists[1]
    assert differ > 2
    assert compared.get("/feed/suggestions").json()["arms"] == ["control", "test"]
    alone = client.get("/feed", params={"id": i, "time": MOMENT, "arm": "test"})
    assert alone.status_code == 404
    assert "'test' is not served, only control" in alone.json()["detail"]


def test_the_plain_route_keeps_its_body(compared, user_id):
    query = {"id": user_id, "time": MOMENT}

    plain = compared.get(PATH, params=query)
    variant = compared.get(f"{PATH}variant", params=query)

    assert plain.json() == variant.json()["recommendations"]
    assert plain.headers["X-Exp-Group"] == variant.json()["exp_group"]


def test_a_returned_list_is_logged_with_its_assignment_probability(compared, user_id, tmp_path):
    posts = compared.get(PATH, params={"id": user_id, "time": MOMENT}).json()
    compared.get(f"{PATH}explain", params={"id": user_id, "time": MOMENT})

    compared.app.state.inference.exposures.write()
    (file,) = (tmp_path / "exposures").glob("*.jsonl")
    (logged,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert logged["posts"] == [post["id"] for post in posts]
    assert (logged["user_id"], logged["at"], logged["propensity"]) == (user_id, MOMENT, 0.5)


@pytest.fixture
def small_files():
    """Limits files of this process to 100 bytes, as a disk does that is nearly full."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_a_disk_that_hangs_delays_no_list(compared, user_id, tmp_path, monkeypatch):
    exposures = compared.app.state.inference.exposures
    hangs, comes_back, is_back, append = Event(), Event(), Event(), exposures._append

    def hanging(lines):
        hangs.set()
        comes_back.wait(60)
        is_back.set()
        append(lines)

    monkeypatch.setattr(exposures, "_append", hanging)
    query = {"id": user_id, "time": MOMENT}
    try:
        assert hangs.wait(60)
        assert compared.get(PATH, params=query).status_code == 200
        assert not is_back.is_set()
    finally:
        comes_back.set()
    exposures.write()
    assert [e.user_id for e in read_exposures(tmp_path / "exposures")] == [user_id]


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_fails_no_list_and_leaves_no_part_of_a_line(compared, user_id, tmp_path):
    exposures = compared.app.state.inference.exposures
    for _ in range(3):
        assert compared.get(PATH, params={"id": user_id, "time": MOMENT}).status_code == 200
        with pytest.raises(OSError, match=r"No space left|File too large"):
            exposures.write()
    assert [f.read_bytes() for f in (tmp_path / "exposures").glob("*.jsonl")] == [b""]
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    exposures.write()
    assert len(list(read_exposures(tmp_path / "exposures"))) == 3


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path, monkeypatch):
    hangs, comes_back, is_back = Event(), Event(), Event()

    def hanging(lines):
        hangs.set()
        comes_back.wait(60)
        is_back.set()

    monkeypatch.setattr(exposure_log, "CLOSE_SECONDS", 0.01)
    log = ExposureLog(tmp_path)
    monkeypatch.setattr(log, "_append", hanging)
    before = metrics.EXPOSURES_DROPPED._value.get()
    log.append(Exposure(7, datetime(2021, 11, 1, 12), "control", 1.0, "v", [10], [0.1]))
    log.close()
    assert hangs.wait(60)
    assert not is_back.is_set()
    comes_back.set()
    assert metrics.EXPOSURES_DROPPED._value.get() - before == 1


def test_the_part_of_a_line_that_a_killed_process_left_is_no_exposure(tmp_path):
    log = ExposureLog(tmp_path)
    for user in (7, 8):
        log.append(Exposure(user, datetime(2021, 11, 1, 12), "control", 1.0, "v", [10], [0.1]))
        log.write()
        with next(tmp_path.iterdir()).open("a") as file:
            file.write('{"served_at": "20')
        assert [e.user_id for e in read_exposures(tmp_path)] == list(range(7, user + 1))


def test_lists_that_wait_too_long_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(exposure_log, "MOST_WAITING", 2)
    log = ExposureLog(tmp_path)
    before = metrics.EXPOSURES_DROPPED._value.get()
    for user in range(5):
        log.append(Exposure(user, datetime(2021, 11, 1, 12), "control", 1.0, "v", [10], [0.1]))
    log.close()
    assert metrics.EXPOSURES_DROPPED._value.get() - before == 3
    assert [e.user_id for e in read_exposures(tmp_path)] == [3, 4]


def test_without_a_second_artifact_everyone_is_in_control(client, artifact):
    for i in artifact.store.catalogue.user_ids[:20].tolist():
        answer = client.get(f"{PATH}variant", params={"id": i, "time": MOMENT}).json()
        assert answer["exp_group"] == "control"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_assignment_has_the_share_that_was_set(share):
    arms = [Assignment("salt", share).arm(i) for i in range(20_000)]

    assert np.mean([arm == "test" for arm in arms]) == pytest.approx(share, abs=0.01)


def test_another_salt_assigns_independently_and_a_larger_share_moves_nobody_to_control():
    ids = range(20_000)
    one, other = ([Assignment(s, 0.5).arm(i) == "test" for i in ids] for s in ("a", "b"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03

    grown = [Assignment("a", 0.6).arm(i) == "test" for i in ids]
    assert all(now for before, now in zip(one, grown, strict=True) if before)


def test_the_assignment_is_the_same_on_every_machine():
    assert [Assignment("feedrank", 0.5).arm(i) for i in (1, 2, 3, 200)] == [
        "test" if first < 0x80 else "control"
        for first in (_first_byte(1), _first_byte(2), _first_byte(3), _first_byte(200))
    ]


def _first_byte(user_id):
    return hashlib.sha256(f"feedrank:{user_id}".encode()).digest()[0]


def draw(rng, n_users, rates, n_requests=8, spread=0.05):
    """Requests of two arms of users whose own rates vary around the arm's."""
    is_test = np.arange(n_users) % 2 == 1
    own = np.clip(np.where(is_test, rates[1], rates[0]) + rng.normal(0, spread, n_users), 0, 1)
    user = np.repeat(np.arange(n_users), rng.integers(1, 2 * n_requests, n_users))
    is_hit = rng.random(len(user)) < own[user]
    return AbOutcomes(user, is_test[user], is_hit, np.zeros(len(user)))


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(400):
        low, high = compare(draw(rng, 400, (0.5, 0.55), spread=0.2), 0.5).interval
        hits.append(low <= 0.05 <= high)

    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


def test_the_variance_is_that_of_users_not_of_requests():
    hits, n = np.array([10, 0, 10, 0]), np.array([10, 10, 10, 10])

    assert arm_rate(hits, n, np.zeros(4)).variance == pytest.approx(0.25 / 3)


def test_a_sample_ratio_mismatch_is_found_and_a_sound_assignment_passes():
    assert mismatch_p(5_000, 5_030, 0.5) > 0.5
    assert mismatch_p(5_000, 5_600, 0.5) < 1e-6
    assert mismatch_p(9_000, 1_000, 0.1) == pytest.approx(1)


def test_users_of_both_arms_are_left_out():
    user = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    is_test = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1, 1], bool)

    found = compare(AbOutcomes(user, is_test, np.ones(10, bool), np.zeros(10)), 0.5)

    assert (found.n_switched, found.control.n_users, found.test.n_users) == (1, 2, 2)


@pytest.fixture
def logged(tmp_path):
    """Exposures of 200 users, and likes: of control users in one of four, of test in three."""
    log = ExposureLog(tmp_path / "exposures")
    likes = []
    at = datetime(2021, 11, 1, 12)
    for user in range(200):
        arm = "test" if user % 2 else "control"
        log.append(Exposure(user, at, arm, 0.5, "v", [10, 11, 12], [0.3, 0.2, 0.1]))
        if user % 8 in (1, 3, 5, 0):
            likes.append((user, 11, at + timedelta(hours=2)))
        likes.append((user, 99, at + timedelta(hours=1)))  # of a post that was not listed
        likes.append((user, 10, at - timedelta(hours=1)))  # before the request
        likes.append((user, 12, at + timedelta(hours=30)))  # too late
    log.close()
    frame = pd.DataFrame(likes, columns=["user_id", "post_id", "timestamp"])
    frame.to_csv(tmp_path / "likes.csv", index=False)
    return tmp_path


def test_the_report_counts_likes_of_listed_posts_in_time(logged, capsys):
    code = main([str(logged / "exposures"), "--likes", str(logged / "likes.csv"), "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["control"]["rate"], found["test"]["rate"]) == (0.25, 0.75)


def test_the_report_says_which_arm_is_better(logged, capsys):
    main([str(logged / "exposures"), "--likes", str(logged / "likes.csv")])

    told = capsys.readouterr().out
    assert "test - control: +0.5000" in told
    assert "test is better" in told


def test_the_report_says_how_many_places_of_an_arm_explore(logged, capsys):
    arguments = [str(logged / "exposures"), "--likes", str(logged / "likes.csv")]
    main(arguments)
    assert "explore" not in capsys.readouterr().out

    (log,) = (logged / "exposures").glob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line["explore"] = 0.05 * (line["exp_group"] == "test")
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    main(arguments)

    assert "places that explore: 0.0% of control, 5.0% of test" in capsys.readouterr().out


def test_the_report_refuses_a_sample_ratio_mismatch(logged, capsys):
    files = list((logged / "exposures").glob("*.jsonl"))
    lines = files[0].read_text().splitlines()
    kept = [x for x in lines if '"control"' in x or json.loads(x)["user_id"] < 100]
    files[0].write_text("\n".join(kept) + "\n")

    code = main([str(logged / "exposures"), "--likes", str(logged / "likes.csv")])

    assert code == 2
    assert "SAMPLE RATIO MISMATCH" in capsys.readouterr().out


@pytest.mark.parametrize(("arm", "share"), [("test", 0.0), ("test", 0.5), ("control", 1.0)])
def test_a_report_without_an_arm_compares_nothing(logged, tmp_path, capsys, arm, share):
    other = "control" if arm == "test" else "test"
    log = ExposureLog(tmp_path / "one")
    for user in range(20):
        probability = share if other == "test" else 1 - share
        log.append(Exposure(user, datetime(2021, 11, 1, 12), other, probability, "v", [10], [0.1]))
    log.close()

    code = main([str(tmp_path / "one"), "--likes", str(logged / "likes.csv")])

    said = capsys.readouterr().out
    assert code == 2
    assert f"no comparison: arm {arm} has fewer than two users" in said
    assert "as planned" not in said


def test_the_report_reads_likes_from_the_database(logged, database, capsys, monkeypatch):
    database.execute(
        'CREATE TABLE feed_data ("timestamp" timestamp, user_id int, post_id int, '
        "action text, target int)",
        "INSERT INTO feed_data VALUES ('2021-11-01 13:00', 1, 10, 'like', 0), "
        "('2021-11-01 13:00', 2, 10, 'view', 1), ('2021-11-05 13:00', 3, 10, 'like', 0)",
    )
    monkeypatch.setenv("FEED_DSN", database.url)

    assert main([str(logged / "exposures"), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["control"]["rate"], found["test"]["rate"]) == (0, 0.01)


def test_a_report_without_likes_or_exposures_says_what_to_do(tmp_path, logged, capsys, monkeypatch):
    monkeypatch.delenv("FEED_DSN", raising=False)

    assert main([str(tmp_path / "none")]) == 1
    assert main([str(logged / "exposures")]) == 1

    told = capsys.readouterr().err
    assert "FEEDRANK_EXPOSURES" in told
    assert "Set FEED_DSN, or name a file with --likes" in told


FEED = (
    'CREATE TABLE feed_data ("timestamp" timestamptz, user_id int, post_id int, '
    "action text, target int)"
)


def test_the_database_is_read_as_the_extract_reads_it_zone_and_all(
    logged, database, capsys, monkeypatch
):
    """12:30 in UTC is half past noon of the lists; 06:30 in UTC lies before them."""
    database.execute(
        FEED,
        "INSERT INTO feed_data VALUES ('2021-11-01 12:30+00', 1, 10, 'like', 0), "
        "('2021-11-01 12:30+06', 3, 10, 'like', 0)",
    )
    for scheme in ("postgresql", "postgresql+psycopg2", "postgres", "postgresql+psycopg"):
        monkeypatch.setenv("FEED_DSN", f"{scheme}://{database.url.split('://')[1]}")
        assert main([str(logged / "exposures"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["test"]["n_hits"] == 1


def test_a_feed_without_likes_is_no_tie(logged, database, capsys, monkeypatch):
    database.execute(FEED, "INSERT INTO feed_data VALUES ('2021-11-01 13:00', 1, 10, 'view', 1)")
    monkeypatch.setenv("FEED_DSN", database.url)

    assert main([str(logged / "exposures")]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert "'feed_data' holds no row with action 'like' from 2021-11-01 12:00:00" in said.err


def test_likes_that_follow_no_list_are_no_tie(logged, tmp_path, capsys):
    (tmp_path / "l.csv").write_text("user_id,post_id,timestamp\n1,99,2021-11-01T13:00:00\n")

    assert main([str(logged / "exposures"), "--likes", str(tmp_path / "l.csv")]) == 2

    assert "no comparison: none of 200 lists was followed by a like" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read: No columns to parse"),
        (b"user_id,post_id,timestamp\n", "holds no like"),
        (b"user_id,post,timestamp\n1,2,2021-11-01\n", "lacks the columns ['post_id']; it has"),
        (b"user_id,post_id,timestamp\n1,2,2021-11-01\n1,2,soon\n", "line 3 of "),
        (b"user_id,post_id,timestamp\n1,,2021-11-01\n", "post_id '' is empty"),
        (b"user_id,post_id,timestamp\n1,2,2021-11-01\n1,2,3,4,5\n", "in line 3"),
        (b"user_id,post_id,timestamp\n\xff\xfe\n", "cannot be read: 'utf-8' codec"),
        (b"user_id,post_id,timestamp,user_id\n1,2,2021-11-01,3\n", "columns of one name twice"),
        (b"user_id,post_id,timestamp\n1,2,2021-11-01,9,9\n", "cannot be read: Length of header"),
    ],
)
def test_a_bad_file_of_likes_is_told_by_line_and_remedy(logged, tmp_path, capsys, content, says):
    (tmp_path / "l.csv").write_bytes(content)

    assert main([str(logged / "exposures"), "--likes", str(tmp_path / "l.csv")]) == 1

    told = capsys.readouterr().err
    assert says in told
    assert str(tmp_path / "l.csv") in told
    assert "rite " in told or "Remove" in told  # what to do


def test_moments_of_a_file_may_have_an_offset_each(logged, tmp_path, capsys):
    lines = ["1,10,2021-11-01T14:30:00+02:00", "3,10,2021-11-01 12:30:00Z", "5,10,2021-11-01 12:30"]
    (tmp_path / "l.csv").write_text("\n".join(["user_id,post_id,timestamp", *lines]))
    frame = pd.read_csv(tmp_path / "l.csv")
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="ISO8601", utc=True)
    frame.to_parquet(tmp_path / "l.parquet")

    for name in ("l.csv", "l.parquet"):
        assert main([str(logged / "exposures"), "--likes", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["test"]["n_hits"] == 3


def test_an_exposure_of_another_version_is_told_by_line(logged, capsys):
    (file,) = (logged / "exposures").glob("*.jsonl")
    file.write_text('{"user": 1}\n' + file.read_text())

    assert main([str(logged / "exposures"), "--likes", str(logged / "likes.csv")]) == 1

    assert f"line 1 of '{file}' is not an exposure of this version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"propensity": "half"}, "'propensity': Input should be a valid number"),
        ({"propensity": 7}, "'propensity': Input should be less than or equal to 1"),
        ({"exp_group": "foo"}, "'exp_group': Input should be 'control' or 'test'"),
        ({"posts": None}, "'posts': Input should be a valid array"),
        ({"at": "9999-12-31T00:00:00"}, "'at': Input should be less than"),
        ({"at": "2021-11-01T00:00:00+01:00"}, "'at': Input should not have timezone info"),
        ({"more": 1}, "'more'"),
    ],
)
def test_an_exposure_with_a_wrong_value_is_told_by_line(logged, capsys, changed, says):
    (file,) = (logged / "exposures").glob("exposures-*.jsonl")
    line = json.loads(file.read_text().splitlines()[0])
    file.with_name("exposures-x.jsonl").write_text(json.dumps(line | changed) + "\n")

    try:
        assert main([str(logged / "exposures"), "--likes", str(logged / "likes.csv")]) == 1
    finally:
        file.with_name("exposures-x.jsonl").unlink()
    told = capsys.readouterr().err
    assert "line 1 of '" in told
    assert says in told


def test_odd_files_among_the_exposures_are_told_or_left_alone(logged, tmp_path, capsys):
    (logged / "exposures" / "exposures-a.jsonl").mkdir()
    assert main([str(logged / "exposures"), "--likes", str(logged / "likes.csv")]) == 0
    (logged / "exposures" / "exposures-a.jsonl").rmdir()
    for content, says in ((b"\xff\xfe\n", "line 1 of '"), (b"", "holds no exposures")):
        (tmp_path / "exposures-b.jsonl").write_bytes(content)
        assert main([str(tmp_path), "--likes", str(logged / "likes.csv")]) == 1
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("hours", ["1e300", "x", "nan", "0"])
def test_hours_that_are_none_are_named(capsys, hours):
    with pytest.raises(SystemExit):
        main(["exposures", "--hours", hours])
    assert f"must be a number up to 8,784, not '{hours}'" in capsys.readouterr().err


def test_a_folder_that_can_hold_no_exposures_ends_the_start_in_words(artifact_path, tmp_path):
    (tmp_path / "file").touch()
    server = start(
        {
            "FEEDRANK_ARTIFACT": str(artifact_path),
            "FEEDRANK_STATE": str(tmp_path / "state"),
            "FEEDRANK_EXPOSURES": str(tmp_path / "file"),
        }
    )
    assert server.wait() != 0
    assert any("no exposures can be kept in" in line for line in server.lines)
    assert not any("Traceback" in line for line in server.lines)


def _arms(control, test):
    """Lists of users with one each: hits and users of both arms."""
    n = control[1] + test[1]
    is_test = np.arange(n) >= control[1]
    is_hit = np.where(is_test, np.arange(n) - control[1] < test[0], np.arange(n) < control[0])
    return compare(AbOutcomes(np.arange(n), is_test, is_hit, np.zeros(n)), 0.5)


@pytest.mark.parametrize(
    ("control", "test", "says"),
    [
        ((2, 2), (2, 2), "undecided, too little to judge by"),
        ((0, 20), (4, 20), "undecided, too little to judge by"),  # Fisher's exact p is .106
        ((19, 19), (0, 19), "undecided, too little to judge by"),
        ((500, 500), (495, 500), "undecided, too little to judge by"),  # five misses
        ((0, 500), (30, 500), "test is better"),
        ((250, 500), (250, 500), "undecided, over 100 times the requests would tell"),
    ],
)
def test_a_verdict_takes_users_hits_and_misses(control, test, says):
    assert in_words(_arms(control, test), 24).splitlines()[-1].startswith(says)


@pytest.mark.parametrize("rate", [0, 1])
def test_a_rate_of_none_or_all_has_a_width(rate):
    n = 30
    arm = _arms((rate * n, n), (rate * n, n)).control
    low, high = arm.interval
    assert 0 <= low < high <= 1
    assert high - low == pytest.approx(1.96**2 / (n + 1.96**2), rel=0.06)  # t of 29 users


def test_users_who_do_not_differ_are_not_certain():
    n = np.full(30, 3)
    assert arm_rate(n // 3, n, np.zeros(30)).variance == arm_rate(n, n, np.zeros(30)).variance > 0


def test_an_interval_of_few_users_covers_as_often_as_one_of_many():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(500):
        low, high = compare(draw(rng, 6, (0.5, 0.5), spread=0.3), 0.5).interval
        held.append(low <= 0 <= high)

    assert np.mean(held) > 0.9
