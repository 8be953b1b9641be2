from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from feedrank.errors import FeedrankError
from feedrank.experiments import ablation, search
from feedrank.experiments.search import gain_of
from feedrank.experiments.space import SPACE, Range, applied, present, settings, space_of
from feedrank.experiments.studies import Search, choice_of, line_of, name_of
from feedrank.experiments.tuning_folds import BETTER, NOW, EarlierWeeks, earlier_folds
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.io.writer_lock import one_writer
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import Params
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.intervals import Estimate, estimate
from feedrank.validation.methods import OURS
from feedrank.validation.replay.period import requests_in
from tests.support.small_artifact import small_params, write_log

NAMES = ("train.max_depth", "train.min_split_gain")


def test_a_search_never_uses_the_weeks_of_validation() -> None:
    calendar = Calendar(warmup_days=14, test_days=7, n_days=90)
    first = calendar.folds(2)[0].cutoff
    found = earlier_folds(calendar, 2, 3)
    assert len(found) == 3
    assert found[-1].until == first
    assert all(a.until == b.cutoff for a, b in pairwise(found))


def test_a_log_too_short_for_earlier_weeks_says_so() -> None:
    with pytest.raises(FeedrankError, match=r"30 days: too few .* Lower 'validate.folds'"):
        earlier_folds(Calendar(warmup_days=14, test_days=7, n_days=30), 2, 1)


def test_a_choice_is_applied_to_its_groups_and_to_nothing_else() -> None:
    params = small_params()
    found = applied({"train.max_depth": 7, "export.candidates": 99}, params)
    assert (found.train.max_depth, found.export.candidates) == (7, 99)
    back = replace(found, train=params.train, export=params.export)
    assert back == params
    assert replace(found.train, max_depth=params.train.max_depth) == params.train


def test_a_present_value_beyond_the_usual_range_is_still_tried() -> None:
    params = small_params()
    params = replace(params, train=replace(params.train, max_depth=12))
    assert space_of(["train.max_depth"], params)["train.max_depth"] == Range(
        2, 12, is_whole=True, is_log=False
    )


@pytest.mark.parametrize("name", ["train.min_split_gain", "train.reg_lambda"])
def test_a_present_value_of_zero_is_tried_on_a_range_without_logarithm(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    params = applied({name: 0.0}, small_params())
    assert not space_of([name], params)[name].is_log
    best = Search(tmp_path / "s", "zero", params, [name], "shown", 3).run(_hill, 2)
    assert choice_of(best) == present([name], params), "of equal ones the first"


def test_a_present_value_of_many_digits_is_no_other_than_the_first_trial_s(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    name = "train.learning_rate"
    params = applied({name: 0.123456}, small_params())
    best = Search(tmp_path / "s", "digits", params, [name], "shown", 3).run(_hill, 2)
    assert choice_of(best) == present([name], params)


@pytest.mark.parametrize("word", ["--trials", "--weeks"])
def test_a_search_of_nothing_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        search.main([word, "0"])
    assert "must be 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("name", SPACE)
def test_every_range_holds_what_the_parameters_allow(name: str) -> None:
    params, of = small_params(), SPACE[name]
    for value in (of.low, of.high):
        applied({name: int(value) if of.is_whole else value}, params)
    assert space_of([name], params)[name] == of, "the default lies within the range"


def test_the_best_choice_is_written_as_an_experiment_takes_it() -> None:
    assert settings({"train.max_depth": 6, "train.learning_rate": 0.0312}) == (
        "-S train.max_depth=6 -S train.learning_rate=0.0312"
    )


def test_what_is_chosen_does_not_name_a_study_and_all_else_does() -> None:
    params = small_params()
    deeper = replace(params, train=replace(params.train, max_depth=8))
    slower = replace(params, train=replace(params.train, learning_rate=0.02))
    name = name_of(params, NAMES, "shown")
    assert name_of(deeper, NAMES, "shown") == name
    assert name_of(slower, NAMES, "shown") != name
    assert name_of(params, NAMES, "expected") != name
    assert name_of(params, NAMES[:1], "shown") != name


def test_without_optuna_a_search_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(FeedrankError, match=r"pip install -r requirements-search.txt"):
        Search(tmp_path / "s", "x", small_params(), NAMES, "shown", 1).run(_hill, 1)


def _hill(params: Params) -> dict[str, float]:
    """Best at a depth of 6."""
    value = 0.6 - 0.01 * (params.train.max_depth - 6) ** 2
    return {"expected": value, "shown": value, "catalogue": 0.0}


def _run(path: Path, n_trials: int, seed: int = 3) -> Search:
    found = Search(path, "depth", small_params(), NAMES, "shown", seed)
    found.run(_hill, n_trials)
    return found


def _trials(path: Path) -> list[str]:
    optuna = pytest.importorskip("optuna")
    study = optuna.load_study(study_name="depth", storage=f"sqlite:///{path}")
    trials = study.get_trials()
    return [line_of(trials[: n + 1]) for n in range(len(trials))]


def test_a_search_tries_the_present_first_and_finds_the_best(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    best = Search(tmp_path / "s", "depth", small_params(), NAMES, "shown", 3).run(_hill, 12)
    assert choice_of(best)["train.max_depth"] == 6
    now = present(NAMES, small_params())
    assert _trials(tmp_path / "s")[0].startswith(f"| 0 | {now[NAMES[0]]:g} | {now[NAMES[1]]:g} |")


def test_a_search_repeats_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    for name in ("a", "b"):
        _run(tmp_path / name, 5)
    assert _trials(tmp_path / "a") == _trials(tmp_path / "b")
    first = _trials(tmp_path / "a")
    for name in ("a", "b"):
        _run(tmp_path / name, 9)
    longer = _trials(tmp_path / "a")
    assert longer == _trials(tmp_path / "b")
    assert longer[:5] == first
    assert len(longer) == 9
    tried = [line.split("|")[2:4] for line in longer]
    assert tried[5:] != tried[1:5], "a resumed search must not propose the same again"
    _run(tmp_path / "a", 9)
    assert _trials(tmp_path / "a") == longer


def test_every_line_names_the_best_trial_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    _run(tmp_path / "s", 8)
    first = capsys.readouterr().out
    _run(tmp_path / "s", 8)
    assert capsys.readouterr().out == first, "previous trials are printed as they were"
    best, value = "", -1.0
    for line in first.splitlines():
        number, *_, shown, _, named = line.strip("| ").split(" | ")
        if float(shown) > value:
            best, value = f"trial {number}", float(shown)
        assert named == best


def test_a_trial_that_broke_is_done_again(tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def broken(params: Params) -> dict[str, float]:
        raise MemoryError

    with pytest.raises(MemoryError):
        Search(tmp_path / "s", "depth", small_params(), NAMES, "shown", 3).run(broken, 3)
    best = Search(tmp_path / "s", "depth", small_params(), NAMES, "shown", 3).run(_hill, 1)
    assert choice_of(best) == present(NAMES, small_params())


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Path, TrainingRows, Params]:
    """A small log with what was learned of it."""
    folder = tmp_path_factory.mktemp("search")
    params = small_params()
    params = replace(params, validate=replace(params.validate, requests=150))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEEDRANK_WORKERS", "1")
        log = write_log(folder / "log", params)
        store = fit_store(log, params)
        rows = training_rows(log, store, params)
    assert isinstance(rows, TrainingRows)
    (folder / "features").mkdir()
    store.save(folder / "features")
    return log, folder / "features", rows, params


def test_the_weeks_of_validation_have_no_influence(
    learned: tuple[Log, Path, TrainingRows, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    log, features, rows, params = learned
    weeks = EarlierWeeks.of(log, features, rows, params, 1, half=0)
    calendar = Calendar.of(log.meta, None, None)
    untouched = calendar.folds(params.validate.folds)[0].cutoff
    assert weeks.folds[0].until == untouched
    assert weeks.requests[0].at.max() < untouched
    late = rows.at >= untouched
    assert late.any()
    other = replace(rows, liked=np.where(late, 1 - rows.liked, rows.liked).astype(np.uint8))
    changed = replace(weeks, rows=other)
    found, same = (w.scores(params).methods[OURS].by_request for w in (weeks, changed))
    np.testing.assert_array_equal(found["shown"], same["shown"])
    np.testing.assert_array_equal(found["expected"], same["expected"])


def test_lists_are_made_in_the_state_of_the_headline(
    learned: tuple[Log, Path, TrainingRows, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    log, features, rows, params = learned
    asked: list[int | None] = []
    made = Recommender.__init__

    def recorded(self: Recommender, *rest: Any, as_of: int | None = None) -> None:
        asked.append(as_of)
        made(self, *rest, as_of=as_of)

    monkeypatch.setattr(Recommender, "__init__", recorded)
    weeks = EarlierWeeks.of(log, features, rows, params, 1, half=0)
    found = []
    for state, known in (("fresh", {None}), ("aged", {None, weeks.folds[0].cutoff})):
        asked.clear()
        of_state = replace(params, validate=replace(params.validate, state=state))
        found.append(weeks.scores(of_state).methods[OURS].by_request["shown"])
        assert set(asked) == known
    assert not np.array_equal(*found)


def test_the_command_searches_and_says_how_to_try_the_best(
    learned: tuple[Log, Path, TrainingRows, Params],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    log, features, rows, params = learned
    monkeypatch.setattr(search, "load_params", lambda: params)
    monkeypatch.setattr(search, "load_rows", lambda _: rows)
    monkeypatch.setattr(search, "LOG", log.directory)
    monkeypatch.setattr(search, "FEATURES", features)
    monkeypatch.setattr(search, "LOCK", tmp_path / ".lock")
    monkeypatch.setattr(search, "STUDIES", tmp_path / "search.sqlite")
    words = ["--trials", "3", "--weeks", "1", "--over", *NAMES]
    assert search.main(words) == 0
    said = capsys.readouterr().out
    assert "| trial | max_depth | min_split_gain | expected | shown | catalogue |" in said
    assert [f"| {n} | " in said for n in range(4)] == [True, True, True, False]
    ends = ("no trial beats", "`params.yaml` stays", "dvc exp run -n searched -S train.")
    assert any(end in said for end in ends)


def test_the_check_asks_other_users_than_the_trials(
    learned: tuple[Log, Path, TrainingRows, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    log, features, rows, params = learned
    every = replace(params, validate=replace(params.validate, requests=100_000))
    (fold,) = earlier_folds(Calendar.of(log.meta, None, None), params.validate.folds, 1)
    whole = requests_in(log, FeatureStore.load(features), fold, every.validate).requests
    first, second = (
        EarlierWeeks.of(log, features, rows, every, 1, half).requests[0] for half in (0, 1)
    )
    assert not set(first.user) & set(second.user)
    assert sorted([*first.user, *second.user]) == sorted(whole.user)
    assert 0.35 < len(first) / len(whole) < 0.65
    np.testing.assert_array_equal(np.isfinite(first.propensity), True)


def test_what_no_request_tells_of_two_trials_is_in_their_difference(
    learned: tuple[Log, Path, TrainingRows, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    log, features, rows, params = learned
    weeks = EarlierWeeks.of(log, features, rows, params, 1, half=1)
    other = applied({"train.min_split_gain": 0.1, "train.max_depth": 8}, params)
    found = weeks.compared(params, other)
    gain = gain_of(weeks, params, other, "expected")
    first, second = (found.methods[name] for name in (NOW, BETTER))
    of_requests = second.by_request["expected"] - first.by_request["expected"]
    narrow = estimate(of_requests, found.weights)
    assert gain.value == narrow.value
    assert gain.high - gain.low > 1.2 * (narrow.high - narrow.low)
    doubt = second.doubt - first.doubt
    assert 0 < doubt.std() < 0.9 * np.hypot(first.doubt.std(), second.doubt.std())


def test_only_a_gain_is_offered_as_an_experiment() -> None:
    choice = {"train.max_depth": 6}
    for gain in (Estimate(0.01, -0.01, 0.03, 900, 300), Estimate(-0.02, -0.03, -0.01, 900, 300)):
        said = search.last_words(choice, gain, "shown")
        assert "`params.yaml` stays" in said
        assert "dvc exp run" not in said
    few = search.last_words(choice, Estimate(0.02, np.nan, np.nan, 9, 9), "shown")
    assert "gains +0.0200 (no interval) of shown in these weeks: undecided, too little" in few
    sure = search.last_words(choice, Estimate(0.02, 0.01, 0.03, 900, 300), "shown")
    assert "gains +0.0200 [+0.0100, +0.0300] of shown in these weeks: ahead" in sure
    assert "dvc exp run -n searched -S train.max_depth=6\n" in sure


@pytest.mark.parametrize(("module", "words"), [(search, ["--trials", "3"]), (ablation, [])])
def test_an_experiment_beside_a_running_stage_is_refused(
    module: ModuleType,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "LOCK", tmp_path / ".lock")
    monkeypatch.setattr(module, "load_params", lambda: pytest.fail("it began"))
    with one_writer(tmp_path / ".lock"):
        assert module.main(*[words] if words else []) == 2
    assert "another process writes beside" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-5", "x", str(1 << 32)])
def test_a_seed_that_is_none_is_told(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        search.main(["--seed", seed])
    assert f"'{seed}' must be from 0 to 4294967295" in capsys.readouterr().err
