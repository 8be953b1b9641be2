from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import FeedrankError, SchemaError
from feedrank.experiments import compare
from feedrank.experiments.pairs import Pairs, is_refused
from feedrank.experiments.revisions import REQUESTS, WORKSPACE, requests_at
from feedrank.validation.table import list_checksums, read_requests, write_requests

ROOT = Path(__file__).parents[1]
N = 900


def _table(gain: float = 0.0, seed: int = 0, n: int = N) -> pd.DataFrame:
    """Requests of n / 3 users; `gain` is added to the chance of a hit."""
    common, own = np.random.default_rng(0), np.random.default_rng(seed)
    luck = common.random(n)
    hit = (luck < 0.5 + gain).astype(np.float32)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 3 * 7,
            "at": pd.Timestamp("2021-12-01") + pd.to_timedelta(np.arange(n) % 3, unit="h"),
            "fold": 0,
            "list": np.where(luck < 0.5 + gain, 1, 2).astype(np.uint32),
            "feedrank/expected@5": hit + own.normal(0, 0.05, n).astype(np.float32),
            "feedrank/shown@5": np.where(luck < 0.1, np.nan, hit).astype(np.float32),
            "most_liked/expected@5": hit,
        }
    )


def _reordered(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(list=table["list"] + 2)


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    return Pairs.of(a, b, 400, 1)


def test_a_better_run_is_said_to_be_better_by_how_much() -> None:
    found = _pairs(_table(), _table(gain=0.06, seed=1)).difference("expected@5")
    assert found.gain.low < 0.06 < found.gain.high
    assert found.words().startswith("B beats A by 0.0")
    back = _pairs(_table(gain=0.06, seed=1), _table()).difference("expected@5")
    assert back.words().startswith("A beats B by 0.0")
    assert back.gain.value == pytest.approx(-found.gain.value)


def test_two_that_do_not_differ_cannot_be_told_apart() -> None:
    found = _pairs(_table(seed=1), _reordered(_table(seed=2))).difference("expected@5")
    assert found.gain.low < 0 < found.gain.high
    assert "too close to tell" in found.words()


def test_the_same_run_is_the_same_in_every_request() -> None:
    found = _pairs(_table(), _table()).difference("shown@5")
    assert found.is_same
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)


def test_other_thoughts_of_the_same_lists_are_no_gain() -> None:
    a, b = _table(), _table()
    b["feedrank/expected@5"] += 0.01
    b["feedrank/shown@5"] += 0.01  # of shown posts, which the lists do not say
    pairs = _pairs(a, b)
    found = pairs.difference("expected@5")
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)
    assert found.words() == "the same in every request"
    assert pairs.difference("shown@5").words().startswith("B beats A")
    b.loc[0, "list"] += 2
    assert _pairs(a, b).difference("expected@5").words().startswith("B beats A")


def test_a_pair_is_narrower_than_its_parts() -> None:
    found = _pairs(_table(), _table(gain=0.06)).difference("expected@5")
    assert found.gain.high - found.gain.low < 0.6 * (found.a.high - found.a.low)


def test_users_are_resampled_not_requests() -> None:
    a, b = _table(), _reordered(_table())
    swing = np.random.default_rng(4).normal(size=N // 3).repeat(3)
    b["feedrank/expected@5"] += swing.astype(np.float32)
    found = _pairs(a, b).difference("expected@5").gain
    of_users = 3.92 * swing.std() / np.sqrt(N / 3)
    assert found.high - found.low == pytest.approx(of_users, rel=0.15)


def test_the_order_of_rows_does_not_matter() -> None:
    mixed = _table(gain=0.06).sample(frac=1, random_state=1)
    assert _pairs(_table(), mixed).difference("expected@5") == _pairs(
        _table(), _table(gain=0.06)
    ).difference("expected@5")


def test_only_common_requests_are_compared() -> None:
    found = _pairs(_table(), _table()[300:])
    assert len(found.a) == len(found.b) == N - 300
    assert (found.n_a, found.n_b) == (N, N - 300)


def test_runs_on_other_requests_cannot_be_compared() -> None:
    other = _table().assign(at=pd.Timestamp("2022-01-01"))
    with pytest.raises(FeedrankError, match="0 requests in common"):
        _pairs(_table(), other)


def test_an_unknown_hit_rate_is_refused_by_name() -> None:
    with pytest.raises(FeedrankError, match=r"'shown@3'; common are expected@5, shown@5"):
        _pairs(_table(), _table()).difference("shown@3")


def test_lists_that_hold_other_posts_are_counted() -> None:
    n = int((_table()["list"] != _table(gain=0.06)["list"]).sum())
    assert 0 < n < N
    assert _pairs(_table(), _table(gain=0.06)).n_lists_that_differ() == n
    assert _pairs(_table(), _table(seed=1)).n_lists_that_differ() == 0
    assert _pairs(_table().drop(columns="list"), _table()).n_lists_that_differ() is None


def test_a_list_is_known_by_its_posts_not_by_their_order() -> None:
    ids = np.array([10, 20, 30, 40])
    same, other = np.array([[3, 0, 1], [1, 3, 0]]), np.array([[3, 0, 2], [3, 0, -1]])
    assert len(set(list_checksums(ids, same))) == 1
    assert len({*list_checksums(ids, same), *list_checksums(ids, other)}) == 3
    # By ids, not by rows: a post that is added before them moves the rows.
    assert list_checksums(ids[1:], np.array([[2, 0]])) == list_checksums(ids, np.array([[1, 3]]))


def test_a_build_refuses_what_is_surely_or_perhaps_worse() -> None:
    worse = _pairs(_table(), _table(gain=-0.06)).difference("expected@5")
    assert is_refused(worse, 0.0, "worse")
    assert is_refused(worse, 0.05, "doubtful")
    assert not is_refused(worse, 0.2, "worse")
    close = _pairs(_table(seed=1), _reordered(_table(seed=2))).difference("expected@5")
    assert not is_refused(close, 0.0, "worse")
    assert is_refused(close, 0.0, "doubtful")
    assert not is_refused(close, 0.05, "doubtful")
    same = _pairs(_table(), _table()).difference("expected@5")
    assert not is_refused(same, 0.0, "doubtful")


def test_the_table_comes_back_and_repeats_to_the_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_requests(tmp_path / name, _table())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_requests((tmp_path / "a").read_bytes(), "a")
    pd.testing.assert_frame_equal(back, _table(), check_dtype=False)


def test_what_is_no_table_of_requests_is_refused() -> None:
    with pytest.raises(SchemaError, match="'x' is not a table"):
        read_requests(b"something", "x")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git and DVC project with two commits: the second one is better."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    run(*git, "init", "-q", "-b", "main")
    run("dvc", "init", "-q")
    for name, gain in (("plain", 0.0), ("better", 0.06)):
        write_requests(REQUESTS, _table(gain=gain))
        run("dvc", "add", "-q", str(REQUESTS))
        run(*git, "add", "-A")
        run(*git, "commit", "-qm", name)
        run(*git, "tag", name)
    return tmp_path


def test_revisions_and_the_working_folder_are_read(project: Path) -> None:
    plain, better = requests_at("plain"), requests_at(WORKSPACE)
    assert plain["feedrank/shown@5"].mean() < better["feedrank/shown@5"].mean()
    pd.testing.assert_frame_equal(requests_at("HEAD"), better)


def test_what_is_not_to_be_had_says_what_to_do(project: Path) -> None:
    with pytest.raises(FeedrankError, match=r"'nowhere' has no .*dvc exp show"):
        requests_at("nowhere")
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(FeedrankError, match="dvc pull"):
        requests_at("plain")
    REQUESTS.unlink()
    with pytest.raises(FeedrankError, match="Run `dvc repro validate`"):
        requests_at(WORKSPACE)


def test_the_command_speaks_and_its_exit_code_decides(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["plain", "better"]) == 0
    said = capsys.readouterr().out
    assert "B beats A by 0.0" in said
    assert "taken: by expected@5" in said
    assert compare.main(["better", "plain", "--kind", "shown"]) == 1
    assert "refused: by shown@5, A beats B" in capsys.readouterr().out
    assert compare.main(["better", "plain", "--tolerance", "0.2"]) == 0
    capsys.readouterr()
    assert compare.main(["plain", "nowhere"]) == 2
    assert "error: revision 'nowhere'" in capsys.readouterr().err


def test_a_loss_of_either_hit_rate_is_enough(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # `expected` alone is too blunt to see what `shown` is sure of.
    noise = np.random.default_rng(5).normal(0, 20, N).astype(np.float32)
    blunt = _table()
    blunt["feedrank/expected@5"] += noise
    write_requests(REQUESTS, blunt)
    assert compare.main(["better", WORKSPACE, "--kind", "expected"]) == 0
    assert compare.main(["better", WORKSPACE]) == 1
    assert "refused: by shown@5, A beats B" in capsys.readouterr().out
