from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.params import ValidateParams
from feedrank.stats.classification import auc, log_loss
from feedrank.stats.intervals import rounded
from feedrank.validation.fold import FoldResult, joined, run_fold, run_folds
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import AGED, BY_SEGMENT, OURS, method_names
from feedrank.validation.replay.replay import ReplayResult
from feedrank.validation.results.details import calibration_of, days_of
from feedrank.validation.results.metrics_json import headline_of, write_json
from feedrank.validation.results.requests_table import read_requests, write_requests
from feedrank.validation.results.slices import AGAINST, large_slices, slice_table, slices_of
from feedrank.validation.results.summary import Summary
from tests.support.simulated_logs import DAY, DEFAULTS, Learned, saved, simulated, workers

K = 5
METHODS = method_names(DEFAULTS.validate)


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


@pytest.fixture(scope="module")
def features(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(learned, tmp_path_factory.mktemp("saved"))[0]


def _run(learned: Learned, features: Path, fold: int, n_workers: int = 1) -> FoldResult:
    p = learned.params
    one = Calendar.of(learned.log.meta, None, None).folds(2)[fold]
    with workers(n_workers), threadpool_limits(1):
        return run_fold(learned.log, features, learned.rows, one, p)


@pytest.fixture(scope="module")
def results(learned: Learned, features: Path) -> list[FoldResult]:
    return [_run(learned, features, fold) for fold in (0, 1)]


@pytest.fixture(scope="module")
def replayed(results: list[FoldResult]) -> ReplayResult:
    return joined(results)


def metrics_of(
    results: list[FoldResult], params: ValidateParams, truth: dict[str, float] | None
) -> dict[str, Any]:
    return Summary.of(results, params).metrics(truth)


def test_folds_that_are_fitted_side_by_side_are_the_same(
    learned: Learned,
    features: Path,
    results: list[FoldResult],
    logged: pytest.LogCaptureFixture,
) -> None:
    folds = Calendar.of(learned.log.meta, None, None).folds(2)
    with workers(2), threadpool_limits(1):
        found = run_folds(learned.log, features, learned.rows, folds, learned.params)
    assert repr(found[0].randomness) != repr(found[1].randomness)
    for one, expected in zip(found, results, strict=True):
        assert one.fold == expected.fold
        assert repr(one.randomness) == repr(expected.randomness)
        assert one.randomness
        np.testing.assert_array_equal(one.probability, expected.probability)
        for name, column in vars(expected.replayed).items():
            np.testing.assert_array_equal(getattr(one.replayed, name), column)
    days = (folds[0].until - folds[0].cutoff) // DAY  # which depend on the size of the log
    assert logged.text.count(f"requests of a fold, whose test has {days} days.") == len(folds)


def test_the_lead_of_a_slice_is_that_of_its_requests(
    learned: Learned, results: list[FoldResult], replayed: ReplayResult
) -> None:
    p, store = learned.params.validate, learned.store
    table = slice_table(results, store, p)
    rows = iter(table.to_dict("records"))
    for one in large_slices(slices_of(results, store), replayed.user):
        row = next(rows)
        if np.isnan(row["lead"]):
            continue
        found = score(replayed.of_requests(one.kept), METHODS, K, p).lead(OURS, AGAINST, "shown")
        assert (row["lead"], row["lead_low"]) == (rounded(found.value), rounded(found.low))
    assert table["lead"].notna().sum() > 5


def _places(replayed: ReplayResult, method: str) -> int:
    assert replayed.top.shape[0] == len(METHODS)
    return METHODS.index(method)


def _shown(replayed: ReplayResult, request: int) -> dict[int, bool]:
    """What one request's user was shown in its step, and whether it was liked, from the log."""
    learned = simulated()
    user, day = replayed.user[request], replayed.at[request] // DAY
    rows = Impressions.joined(
        b[(b.user == user) & (b.at // DAY == day)] for b in learned.log.buckets()
    )
    shown: dict[int, bool] = {}
    for post, liked in zip(rows.post.tolist(), rows.liked.tolist(), strict=True):
        shown[post] = shown.get(post, False) or bool(liked)
    return shown


@pytest.mark.parametrize("method", METHODS)
def test_hit_rates_are_those_of_a_plain_count(replayed: ReplayResult, method: str) -> None:
    m = _places(replayed, method)
    in_shown, in_catalogue = [], []
    for i in range(len(replayed.user)):
        shown = _shown(replayed, i)
        in_catalogue.append(any(shown.get(post, False) for post in replayed.top[m, i].tolist()))
        if len(shown) > K:
            assert set(replayed.of_shown[m, i].tolist()) <= shown.keys()
            in_shown.append(any(shown[post] for post in replayed.of_shown[m, i].tolist()))
    params = replace(simulated().params.validate, bootstrap=50)
    found = score(replayed, METHODS, K, params).methods[method]
    assert found.shown.value == pytest.approx(np.mean(in_shown))
    assert found.shown.n_requests == len(in_shown)
    assert found.catalogue.value == pytest.approx(np.mean(in_catalogue))
    assert found.catalogue.n_requests == len(in_catalogue)


def test_the_table_of_requests_tells_what_was_shown_and_liked(
    learned: Learned, results: list[FoldResult], replayed: ReplayResult
) -> None:
    table = Summary.of(results, learned.params.validate).requests(
        learned.log, learned.store.catalogue
    )
    ids = learned.log.posts["post_id"].to_numpy()
    for i, checksum in enumerate(table["outcomes"].tolist()):
        shown = sorted(_shown(replayed, i).items())
        posts = b"".join(int(ids[post]).to_bytes(8, "little") for post, _ in shown)
        assert checksum == zlib.crc32(posts + bytes(liked for _, liked in shown))


def test_the_table_of_requests_names_our_lists(
    learned: Learned, results: list[FoldResult], replayed: ReplayResult, tmp_path: Path
) -> None:
    cut = [replace(r, replayed=replace(r.replayed, top=r.replayed.top.copy())) for r in results]
    for of_fold in cut:
        of_fold.replayed.top[0, 0, K - 2 :] = -1  # of one request, too few posts were left
    summary = Summary.of(cut, learned.params.validate)
    write_requests(tmp_path / "table", summary.requests(learned.log, learned.store.catalogue))
    table = read_requests((tmp_path / "table").read_bytes(), "table")
    ids, ours = learned.log.posts["post_id"].to_numpy(), joined(cut).top[0]
    assert [of.tolist() for of in table["posts"]] == [ids[of[of >= 0]].tolist() for of in ours]
    spreads = replayed.top_spread[0].astype(np.float32)
    found = zip(table["post_spreads"], spreads, ours, strict=True)
    assert all(of.tolist() == spread[post >= 0].tolist() for of, spread, post in found)


def test_a_fold_s_lists_are_the_recommender_s(
    learned: Learned, results: list[FoldResult], replayed: ReplayResult
) -> None:
    # The second fold's aged method knows nothing from its cutoff on, ours everything of the steps
    # before.
    ours, aged = (_places(replayed, name) for name in (OURS, AGED))
    last = results[1]
    first_day = last.replayed.at < last.fold.cutoff + DAY
    assert first_day.any()
    np.testing.assert_array_equal(
        last.replayed.top[ours][first_day], last.replayed.top[aged][first_day]
    )
    assert not np.array_equal(last.replayed.top[ours], last.replayed.top[aged])
    for top in last.replayed.top[ours]:
        assert len(set(top.tolist())) == K


def test_intervals_are_possible_and_have_a_width_where_all_is_equal(
    learned: Learned, replayed: ReplayResult, results: list[FoldResult]
) -> None:
    ours = 0
    hits = replayed.hit_shown.copy()
    hits[ours] = np.where(np.isnan(hits[ours]), np.nan, 1.0)
    sure = replace(
        replayed,
        hit_shown=hits,
        shown_liked=np.ones_like(replayed.shown_liked),
        shown_probability=np.full_like(replayed.shown_probability, 0.999),
        top_probability=np.full_like(replayed.top_probability, 0.999),
    )
    found = score(sure, results[0].names, K, learned.params.validate).methods[OURS]
    assert found.expected.high <= 1
    assert found.shown.value == found.shown.high == 1
    assert 0.9 < found.shown.low < 1


def test_users_of_one_segment_have_no_baseline_that_repeats_most_liked() -> None:
    one, two = (set(method_names(DEFAULTS.validate, n)) for n in (1, 2))
    assert two - one == {BY_SEGMENT}


def test_a_later_fold_is_ranked_by_another_ranker(results: list[FoldResult]) -> None:
    assert results[0].fold.until == results[1].fold.cutoff
    assert results[0].replayed.at.max() < results[1].replayed.at.min()


def test_the_number_of_workers_does_not_change_a_fold(
    learned: Learned, features: Path, results: list[FoldResult]
) -> None:
    again = _run(learned, features, 1, n_workers=2)
    for name, column in vars(results[1].replayed).items():
        np.testing.assert_array_equal(column, getattr(again.replayed, name), err_msg=name)
    assert again.probability.tobytes() == results[1].probability.tobytes()


def test_metrics_name_the_headline_first(learned: Learned, results: list[FoldResult]) -> None:
    metrics = metrics_of(results, learned.params.validate, None)
    headline = metrics[f"hitrate@{K}"]
    assert next(iter(metrics)) == f"hitrate@{K}"
    assert headline["expected_low"] <= headline["expected"] <= headline["expected_high"]
    assert headline["shown_low"] <= headline["shown"] <= headline["shown_high"]
    assert headline["n_requests"] == sum(len(r.replayed.user) for r in results)
    assert metrics[f"baselines@{K}"].keys() == set(METHODS) - {OURS}
    for other, lead in metrics[f"lead@{K}"].items():
        for kind in ("expected", "shown"):
            assert lead[f"{kind}_low"] <= lead[kind] <= lead[f"{kind}_high"]
            distance = headline[kind] - metrics[f"baselines@{K}"][other][kind]
            assert lead[kind] == pytest.approx(distance, abs=2e-5)


def test_the_headline_is_flat_and_says_the_same(
    learned: Learned, results: list[FoldResult]
) -> None:
    metrics = metrics_of(results, replace(learned.params.validate, k=[5, 3]), None)
    headline = headline_of(metrics)
    assert list(headline)[:4] == ["expected@5", "shown@5", "catalogue@5", "lead@5"]
    for k in (5, 3):
        assert headline[f"expected@{k}"] == metrics[f"hitrate@{k}"]["expected"]
        assert headline[f"lead@{k}"] == metrics[f"lead@{k}"]["most_liked"]["expected"]
    assert headline["expected_low"] == metrics["hitrate@5"]["expected_low"]
    assert not any(isinstance(value, dict) for value in headline.values())


def test_metrics_of_later_rows_are_of_all_rows_of_the_test_periods(
    learned: Learned, results: list[FoldResult]
) -> None:
    metrics = metrics_of(results, learned.params.validate, None)
    liked = np.concatenate([r.liked for r in results])
    probability = np.concatenate([r.probability for r in results])
    assert metrics["auc"] == pytest.approx(auc(liked, probability), abs=1e-5)
    assert metrics["log_loss"] == pytest.approx(log_loss(liked, probability), abs=1e-5)


def test_each_length_of_list_has_its_own_metrics(
    learned: Learned, features: Path, results: list[FoldResult]
) -> None:
    several = replace(learned.params.validate, k=[3, 1])
    metrics = metrics_of(results, several, None)
    assert list(metrics)[:4] == ["hitrate@3", "hitrate@1", "auc", "log_loss"]
    for name in ("expected", "shown", "catalogue"):
        assert metrics["hitrate@1"][name] <= metrics["hitrate@3"][name]


def test_the_truth_is_added_where_it_is_known(learned: Learned, results: list[FoldResult]) -> None:
    assert "demo" not in metrics_of(results, learned.params.validate, None)
    truth = {"share_of_way": 0.9}
    assert metrics_of(results, learned.params.validate, truth)["demo"] == truth


def test_the_summary_says_what_exposure_depends_on(
    learned: Learned, results: list[FoldResult]
) -> None:
    by_age = replace(results[1], strata_columns=("age",))
    summary = Summary.of([results[0], by_age], learned.params.validate)
    assert "depend on age, which" in summary.trust.feed


def test_metrics_of_the_same_requests_repeat(
    learned: Learned, results: list[FoldResult], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_json(
            tmp_path / name / "metrics.json", metrics_of(results, learned.params.validate, None)
        )
    first, second = ((tmp_path / n / "metrics.json").read_bytes() for n in ("a", "b"))
    assert first == second


def test_a_hit_rate_without_a_value_is_null(learned: Learned, results: list[FoldResult]) -> None:
    replayed = [
        replace(
            r, replayed=replace(r.replayed, hit_shown=np.full_like(r.replayed.hit_shown, np.nan))
        )
        for r in results
    ]
    metrics = metrics_of(replayed, learned.params.validate, None)
    headline = metrics[f"hitrate@{K}"]
    assert headline["shown"] is headline["shown_low"] is headline["shown_high"] is None
    assert headline["n_requests_shown"] == 0
    assert json.dumps(metrics, allow_nan=False)


def test_every_day_of_the_test_periods_has_its_own_hit_rates(
    learned: Learned, results: list[FoldResult]
) -> None:
    trust = Summary.of(results, learned.params.validate).trust
    days = days_of(results, learned.log, learned.params.validate, trust)
    assert set(days["method"]) == set(METHODS)
    assert not days.duplicated(["day", "method"]).any()
    of_ours = days[days["method"] == OURS]
    assert of_ours["requests"].sum() == sum(len(r.replayed.user) for r in results)
    at = np.concatenate([r.replayed.at for r in results])
    names = [learned.log.meta.moment(int(moment)).date().isoformat() for moment in at]
    counted = dict(zip(of_ours["day"], of_ours["requests"], strict=True))
    assert counted == Counter(names)


def test_calibration_is_of_equal_shares_of_all_rows(results: list[FoldResult]) -> None:
    table = calibration_of(results)
    liked = np.concatenate([r.liked for r in results])
    assert table["rows"].sum() == len(liked)
    assert table["rows"].max() - table["rows"].min() <= 1
    assert table["predicted"].is_monotonic_increasing
    mean = np.average(table["liked"], weights=table["rows"])
    assert mean == pytest.approx(liked.mean(), abs=1e-4)
