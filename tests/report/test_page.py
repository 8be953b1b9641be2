from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from feedrank.log.calendar import Calendar
from feedrank.report.page import Reports, page_of
from feedrank.report.templates import PLOTS
from feedrank.report.theme import DARK, LIGHT
from feedrank.report.verdict import sentence
from feedrank.training.importance import importance
from feedrank.validation.fold import FoldResult, joined, run_fold
from feedrank.validation.results.details import calibration_of, curve_of, days_of
from feedrank.validation.results.metrics_json import headline_of
from feedrank.validation.results.requests_table import column
from feedrank.validation.results.slices import (
    COLUMNS,
    Slice,
    large_slices,
    slice_table,
    slices_in_words,
    slices_of,
    supported_slices,
    topic_table,
    worst_slices,
)
from feedrank.validation.results.summary import Summary
from tests.support.simulated_logs import Learned, saved, simulated, workers

ABLATION: dict[str, Any] = {"k": 5, "rows": [
    {"without": "text", "words": "w", "expected": 0.5, "expected_change": -0.01,
     "expected_low": -0.02, "expected_high": 0.01, "shown": 0.4, "shown_change": 0.0,
     "shown_low": -0.01, "shown_high": 0.01},
]}  # fmt: skip


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


@pytest.fixture(scope="module")
def results(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> list[FoldResult]:
    features = saved(learned, tmp_path_factory.mktemp("saved"))[0]
    p = learned.params
    folds = Calendar.of(learned.log.meta, None, None).folds(2)
    with workers(1):
        return [run_fold(learned.log, features, learned.rows, f, p) for f in folds]


@pytest.fixture(scope="module")
def found(learned: Learned, results: list[FoldResult]) -> Reports:
    params = learned.params.validate
    summary, slices = Summary.of(results, params), slice_table(results, learned.store, params)
    metrics = summary.metrics(None)
    full = ABLATION["rows"][0] | {k: metrics["hitrate@5"][k] for k in ("expected", "shown")}
    return Reports(
        metrics=metrics,
        details=summary.details(slices, topic_table(results, learned.store, 5)),
        days=days_of(results, learned.log, params, summary.trust),
        calibration=calibration_of(results),
        slices=slices,
        curve=curve_of(results),
        importance=importance(learned.ranker, learned.rows.matrix),
        ablation=ABLATION | {"rows": [full | {"without": "full"}, *ABLATION["rows"]]},
    )


@pytest.fixture(scope="module")
def usual(found: Reports) -> str:
    """The page of these reports."""
    return page_of(found)


ENDS = ("", "_low", "_high")
XMLNS = re.compile(r'xmlns(:xlink)?="[^"]*"')  # a name, which nobody fetches


class _Reader(HTMLParser):
    """Tags that are open, and everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href", "srcset")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def test_the_page_is_whole_and_fetches_nothing(usual: str) -> None:
    reader = _read(usual)
    assert reader.open == []
    assert reader.fetched == []
    assert not re.search(r"https?:|@import|url\(|nan|None|undefined", XMLNS.sub("", usual))


def test_the_page_has_the_numbers_of_the_metrics(found: Reports, usual: str) -> None:
    page = usual
    ours = found.metrics["hitrate@5"]
    assert f"<b>{ours['expected']:.3f}</b>" in page
    for method in ("feedrank", *found.metrics["baselines@5"]):
        assert f'<th scope="row">{method.replace("_", " ")}</th>' in page
    assert "<h2>Ablation</h2>" in page
    assert "width=device-width" in page


def test_light_and_dark_sides_know_every_colour_of_the_page(usual: str) -> None:
    assert "prefers-color-scheme: dark" in usual
    used = set(re.findall(r"var\(--([\w-]+)\)", usual))
    assert {"tone0", "tone1", "ink"} <= used <= set(LIGHT)
    assert set(LIGHT) == set(DARK)
    for side in (LIGHT, DARK):
        assert " ".join(f"--{name}: {colour};" for name, colour in side.items()) in usual


def test_every_chart_has_a_title_for_a_screen_reader(usual: str) -> None:
    assert usual.count("<svg") > 5  # and at least one kind of slices
    assert usual.count("<svg") == usual.count('<div role="img" aria-label="')


def test_the_page_warns_where_the_estimate_is_not_to_be_trusted(found: Reports) -> None:
    feed = "Of the posts shown, 60% were chosen by an artifact."
    about = {"warnings": ["Beware of <x>."], "feed": feed}
    page = page_of(replace(found, details=found.details | about))
    assert "Read with care." in page
    assert feed in page
    assert "<li>Beware of &lt;x&gt;.</li>" in page
    calm = replace(found, details=found.details | {"warnings": []})
    assert "Read with care." not in page_of(calm)


def test_no_lead_rests_on_an_estimate_that_is_void(found: Reports, usual: str) -> None:
    ahead = {"expected": 0.05, "expected_low": 0.01, "expected_high": 0.09}
    unsure = {"shown": 0.01, "shown_low": -0.02, "shown_high": 0.04}
    metrics = found.metrics | {f"lead@{found.k}": {"most_liked": ahead | unsure}}
    page = page_of(replace(found, metrics=metrics | {"headline": "shown"}))
    assert "by expected" not in page
    assert "+0.050 [+0.010, +0.090]" not in page
    assert "Against most liked: by shown undecided, about 9 times the requests would tell." in page
    assert "strongest other method, most liked, manages" in page
    for name in ("expected", "expected lift", "\N{GREEK CAPITAL LETTER DELTA} expected"):
        assert f'data-name="{name}"' not in page
    assert ">expected</text>" not in page  # no legend of a chart, so no dot
    assert "Shown hit rate; the band" in page
    assert ">expected</text>" in usual
    tiles = re.findall(r'class="tile"><span class="soft">([^<]*)</span><b>([^<]*)<', page)
    ours = found.metrics[f"hitrate@{found.k}"]
    assert tiles[0] == (f"Shown hit rate@{found.k}", f"{ours['shown']:.3f}")
    assert (f"Expected hit rate@{found.k}", "void") in tiles
    assert headline_of(metrics | {"headline": "shown"})[f"lead@{found.k}"] == 0.01
    assert "by expected ahead" in page_of(
        replace(found, metrics=metrics | {"headline": "expected"})
    )


def test_the_page_goes_without_what_was_not_run(found: Reports) -> None:
    page = page_of(replace(found, ablation=None))
    assert "<h2>Ablation</h2>" not in page
    assert _read(page).open == []


def test_an_ablation_of_another_run_is_not_shown_beside_this_one(
    found: Reports, usual: str
) -> None:
    assert '<th scope="row">text</th>' in usual
    page = page_of(replace(found, ablation=ABLATION))
    assert "make ablation" in page
    assert "without a part" not in page


def test_an_ablation_of_lists_of_another_length_is_of_another_run(found: Reports) -> None:
    page = page_of(replace(found, ablation=ABLATION | {"k": 37}))
    assert "make ablation" in page


def test_the_page_says_from_what_state_its_lists_are(found: Reports, usual: str) -> None:
    fresh = usual
    assert "ranked from the log before that moment" in fresh
    assert "<b>feedrank aged</b>: feedrank with its state frozen" in fresh
    baselines = found.metrics[f"baselines@{found.k}"]
    others = {name.replace("_aged", "_fresh"): rates for name, rates in baselines.items()}
    aged = page_of(replace(found, metrics=found.metrics | {f"baselines@{found.k}": others}))
    assert "ranked from the log before the test period" in aged
    assert "<b>feedrank fresh</b>: with that of each request" in aged
    assert "<b>feedrank aged</b>" not in aged


def test_the_words_on_slices_are_those_of_the_charts(found: Reports, usual: str) -> None:
    said = usual
    assert "shown and expected hit rates with intervals. The dashed line is" in said.replace(
        "\n    ", " "
    )
    unjudged = dict.fromkeys(("shown", "shown_low", "shown_high"))
    ours = found.metrics[f"hitrate@{found.k}"] | unjudged
    metrics = found.metrics | {f"hitrate@{found.k}": ours}
    bare = found.slices.assign(**{f"{c}{e}": np.nan for c in ("shown", "lead") for e in ENDS})
    page = page_of(replace(found, metrics=metrics, slices=bare))
    assert "expected hit\n    rate with intervals." in page
    assert "The dashed line is the shown hit rate" not in page
    assert page.count("<h2>By ") == said.count("<h2>By ") > 1
    nothing = bare.assign(**{f"expected{e}": np.nan for e in ENDS})
    assert "Below, the" not in page_of(replace(found, metrics=metrics, slices=nothing))


def test_the_page_of_a_test_period_without_a_like_decides_nothing(
    learned: Learned, results: list[FoldResult], found: Reports
) -> None:
    unliked = [
        replace(
            r,
            replayed=replace(
                r.replayed,
                shown_liked=np.zeros_like(r.replayed.shown_liked),
                hit_shown=r.replayed.hit_shown * 0,
                hit_catalogue=r.replayed.hit_catalogue * 0,
            ),
        )
        for r in results
    ]
    params = learned.params.validate
    summary, slices = Summary.of(unliked, params), slice_table(unliked, learned.store, params)
    metrics = summary.metrics(None)
    ours = metrics["hitrate@5"]
    assert ours["expected_low"] is ours["expected_high"] is ours["shown_low"] is None
    reports = replace(
        found,
        metrics=metrics,
        details=summary.details(slices, topic_table(unliked, learned.store, 5)),
        days=days_of(unliked, learned.log, params, summary.trust),
        slices=supported_slices(slices, summary.trust.void),
    )
    assert reports.days["low"].isna().all()
    assert reports.details["folds"][0]["expected_low"] is None
    page = page_of(reports)
    assert "equal" not in page[: page.index("Read with care")]
    assert "Which one is better is undecided, too little to judge by." in page
    assert "Too little is judged to tell whether a baseline is ahead of our lists." in page
    assert not re.search("nan|None", XMLNS.sub("", page))
    said = "\n".join(summary.words(slices, metrics))
    assert "nan" not in said
    assert "No slice is compared with most liked" in said
    table = summary.requests(learned.log, learned.store.catalogue)
    assert table["expected_is_void"].all()


def test_a_run_without_any_shown_value_says_so(learned: Learned, results: list[FoldResult]) -> None:
    unjudged = [
        replace(r, replayed=replace(r.replayed, hit_shown=r.replayed.hit_shown * np.nan))
        for r in results
    ]
    params = learned.params.validate
    summary, slices = Summary.of(unjudged, params), slice_table(unjudged, learned.store, params)
    assert slices["expected"].notna().any()
    words = summary.words(slices, summary.metrics(None))
    assert ", shown without a value, " in words[1]
    assert any("By shown@5 0 of " in w for w in words)


def test_the_share_of_a_topic_is_of_the_headline_s_lists(
    learned: Learned, results: list[FoldResult]
) -> None:
    replayed, first = joined(results), topic_table(results, learned.store, 1)
    listed = [learned.store.topic[post] for post in replayed.top[0, :, 0]]
    for row in first:
        share = listed.count(row["topic"]) / len(listed)
        assert row["share_of_lists"] == pytest.approx(share, abs=1e-5)


def test_names_of_the_database_are_escaped(found: Reports) -> None:
    page = page_of(replace(found, slices=found.slices.assign(value="<b>&", by="<i>")))
    assert "<i>" not in page
    assert "<h2>By &lt;i&gt;</h2>" in page
    assert ">&lt;b&gt;&amp;</text>" in page


def test_names_and_numbers_of_ranks_are_not_cut(found: Reports) -> None:
    ranks = [{"ranks": "161 to 320", "liked": 0.2, "low": 0.1, "high": 0.3, "n": 2_632_000}]
    page = page_of(replace(found, details=found.details | {"precision_by_rank": ranks}))
    assert ">rank 161 to 320</text>" in page
    assert ">2,632,000</text>" in page


def test_it_is_said_in_words_whether_a_lead_is_sure(found: Reports) -> None:
    sure = {"expected": 0.05, "expected_low": 0.01, "expected_high": 0.09}
    unsure = {"shown": -0.01, "shown_low": -0.02, "shown_high": 0.0}
    both = {"shown": 0.1, "shown_low": 0.05, "shown_high": 0.2}
    unjudged = dict.fromkeys(both)
    leads = {"random": sure | both, "most_liked": sure | unsure, "classic": sure | unjudged}
    page = page_of(replace(found, metrics=found.metrics | {f"lead@{found.k}": leads}))
    assert (
        "Significantly ahead of random, classic. Against most liked: by expected ahead; by shown "
        "undecided, about 2 times the requests would tell."
    ) in page


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.01, 0.09, "Ours is better, beyond chance."),
        (-0.09, -0.01, "Ours is worse, beyond chance."),
        (-0.004, 0.005, "For all that matters, both are equal."),
        (-0.02, 0.09, "Which one is better is undecided, more test days would "
         "tell more. "
         "Among the posts that were shown anyway, ours is better beyond chance."),
    ],
)  # fmt: skip
def test_the_first_sentence_says_how_often_and_who_is_better(
    low: float, high: float, says: str
) -> None:
    lead = {"expected": (low + high) / 2, "expected_low": low, "expected_high": high}
    ours = {"expected": 0.664, "expected_low": 0.608, "expected_high": 0.725}
    metrics = {
        "hitrate@5": ours, "headline": "expected",
        "lead@5": {"a_b": lead | {"shown": 0.1, "shown_low": 0.05, "shown_high": 0.2}, "c": lead},
        "baselines@5": {"a_b": {"expected": 0.62}, "c": {"expected": 0.5}},
    }  # fmt: skip
    assert sentence("5", metrics) == (
        "Of 100 times that a user opens the feed, our 5 posts hold one that the user likes about "
        "66 times (61 to 72); the strongest other method, a b, manages about 62. " + says
    )


def test_a_void_rate_is_in_no_table_of_slices_that_is_written(found: Reports) -> None:
    kept = supported_slices(found.slices, ())
    assert kept["expected"].notna().any()
    void = supported_slices(found.slices, ("expected",))
    assert void.filter(like="expected").isna().all(axis=None)
    pd.testing.assert_frame_equal(void.filter(like="shown"), kept.filter(like="shown"))


def test_every_number_of_a_table_has_its_name_on_a_phone(usual: str) -> None:
    for name in ("shown lift", "shown", "\N{GREEK CAPITAL LETTER DELTA} shown", "AUC", "verdict"):
        assert f'data-name="{name}"' in usual
        assert f">{name}</th>" in usual
    assert len(re.findall(r"<td[ >]", usual)) == usual.count("data-name=")


def test_plots_read_only_columns_that_are_written(found: Reports) -> None:
    tables = {
        "hitrate_by_day": found.days, "slices": found.slices, "calibration": found.calibration,
        "learning_curve": found.curve, "importance": found.importance,
    }  # fmt: skip
    root = Path(__file__).parents[2]
    for plot in yaml.safe_load((root / "dvc.yaml").read_text())["plots"]:
        ((name, about),) = plot.items()
        ((path, y),) = about["y"].items()
        if Path(path).stem in tables:
            named = {about["x"], y, *PLOTS[about["template"]].numbers}
            assert named <= set(tables[Path(path).stem].columns), name


def test_slices_hold_every_request_once(learned: Learned, results: list[FoldResult]) -> None:
    parts: dict[str, Any] = {}
    user = joined(results).user
    for slices in (slices_of(results, learned.store),
                   large_slices(slices_of(results, learned.store), user)):  # fmt: skip
        parts.clear()
        for one in slices:
            parts[one.by] = parts.get(one.by, 0) + one.kept.astype(int)
        assert {"earlier sessions", "day since cutoff", "topic listed first"} < parts.keys()
        assert all((kept == 1).all() for kept in parts.values())


def test_the_topic_listed_first_is_that_of_our_first_post(
    learned: Learned, results: list[FoldResult]
) -> None:
    first = joined(results).top[0, :, 0]
    slices = [s for s in slices_of(results, learned.store) if s.by == "topic listed first"]
    for one in slices:
        topics = {learned.store.topic[post] for post in first[one.kept]}
        assert topics == {one.value}


def test_small_slices_become_one() -> None:
    user = np.arange(200)
    sizes = {"a": 120, "b": 30, "c": 40, "d": 10}
    of = np.repeat(list(sizes), list(sizes.values()))
    cut = [Slice("x", name, of == name) for name in sizes]
    found = {s.value: int(s.kept.sum()) for s in large_slices(cut, user)}
    assert found == {"a": 120, "3 others": 80}
    few_users = [s.value for s in large_slices([Slice("x", "a", of == "a")], user % 5)]
    assert few_users == ["a"]


def test_of_many_slices_the_largest_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedrank.validation.results.slices.MOST_SLICES", 2)
    sizes = {"a": 60, "b": 120, "c": 50, "d": 70}
    of = np.repeat(list(sizes), list(sizes.values()))
    cut = [Slice("x", name, of == name) for name in sizes]
    found = {s.value: int(s.kept.sum()) for s in large_slices(cut, np.arange(300))}
    assert found == {"b": 120, "d": 70, "2 others": 110}
    alike = [Slice("x", str(n), np.arange(300) // 60 == n) for n in range(5)]
    assert [s.value for s in large_slices(alike, np.arange(300))] == ["0", "1", "3 others"]


def test_of_many_topics_the_most_shown_have_a_line(
    learned: Learned, results: list[FoldResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = topic_table(results, learned.store, 5)
    monkeypatch.setattr("feedrank.validation.results.slices.MOST_SLICES", 2)
    by_size = sorted(every, key=lambda row: -row["impressions"])
    kept = [row for row in every if row in by_size[:2]]
    assert topic_table(results, learned.store, 5) == kept != every


def test_topics_that_share_a_code_are_not_called_by_one_of_them(
    learned: Learned, results: list[FoldResult]
) -> None:
    fitted, n = learned.store.fitted, len({*learned.log.posts["topic"]})
    one = replace(learned.store, fitted=replace(fitted, topic=np.zeros_like(fitted.topic)))
    assert [row["topic"] for row in topic_table(results, one, 5)] == [f"{n} topics of few posts"]


def _table(*rows: tuple[str, int, float, float, float]) -> pd.DataFrame:
    """Slices from (value, requests, lead, low, high)."""
    table = pd.DataFrame(rows, columns=["value", "requests", "lead", "lead_low", "lead_high"])
    table = table.assign(by="age", shown=0.6, expected=table["lead"])
    return table.reindex(columns=list(COLUMNS))


def test_the_surest_to_be_behind_is_named_first_and_not_the_noisiest() -> None:
    noisy, sure, ahead = ("a", 60, -0.05, -0.2, 0.1), ("b", 900, 0.0, -0.02, 0.02), (
        "c", 900, 0.1, 0.08, 0.12)  # fmt: skip
    table = _table(ahead, noisy, sure, ("d", 7, np.nan, np.nan, np.nan))
    assert [w[:8] for w in worst_slices(table)] == ["age = b:", "age = a:", "age = c:"]
    behind, small = slices_in_words(table)
    assert behind == "No slice of 3 is significantly behind most liked."
    assert small.endswith("with the number of all requests: age = d (7).")


def test_slices_surely_behind_are_counted_beside_chance() -> None:
    table = _table(*[(f"{i}", 900, -0.1, -0.12, -0.08) for i in range(10)])
    (words,) = slices_in_words(table)
    assert words == (
        "10 of 10 slices are significantly behind most liked; about 0.25 would be by chance, were "
        "none ahead."
    )


def test_slices_that_nothing_judges_are_not_compared() -> None:
    bare = _table(("a", 900, np.nan, np.nan, np.nan)).assign(shown=np.nan, expected=0.6)
    for table in (bare, bare.head(0)):
        assert slices_in_words(table) == [
            "No slice is compared with most liked: too little is judged by shown."
        ]
        assert worst_slices(table) == []


def test_a_slice_that_always_hits_has_an_interval(
    learned: Learned, results: list[FoldResult]
) -> None:
    table = slice_table(_always(results), learned.store, learned.params.validate)
    large = table.dropna(subset=["shown"]).set_index(["by", "value"])
    assert (large["shown"] == 1).all()
    user = joined(results).user
    for one in large_slices(slices_of(results, learned.store), user):
        if (one.by, one.value) in large.index:
            n = len(np.unique(user[one.kept]))
            low = large.loc[(one.by, one.value), "shown_low"]
            assert low == pytest.approx(n / (n + 1.96**2), abs=1e-5)


def _always(results: list[FoldResult]) -> list[FoldResult]:
    return [
        replace(r, replayed=replace(r.replayed, hit_shown=np.ones_like(r.replayed.hit_shown)))
        for r in results
    ]


def test_the_slice_by_sessions_is_a_plain_count(
    learned: Learned, results: list[FoldResult]
) -> None:
    replayed = joined(results)
    kept = next(s.kept for s in slices_of(results, learned.store) if s.value == "1 to 5 before")
    rows = pd.concat(
        pd.DataFrame({"user": b.user, "day": b.at // 86_400}) for b in learned.log.buckets()
    )
    for i in range(0, len(replayed.user), 17):
        days = rows[(rows.user == replayed.user[i]) & (rows.day < replayed.at[i] // 86_400)].day
        assert kept[i] == (1 <= days.nunique() <= 5)


def test_each_rank_is_a_plain_count(found: Reports, results: list[FoldResult]) -> None:
    replayed = joined(results)
    rows = found.details["precision_by_rank"]
    assert [r["ranks"] for r in rows[:6]] == ["1", "2", "3", "4", "5", "6 to 10"]
    here = replayed.shown_rank[0] == 2
    assert rows[2]["n"] == here.sum()
    if here.any():
        assert rows[2]["liked"] == pytest.approx(replayed.shown_liked[here].mean(), abs=1e-5)
    assert sum(r["n"] for r in rows) == (replayed.shown_rank[0] >= 0).sum()
    assert rows[-1]["ranks"].split(" to ")[-1] == str(replayed.shown_rank[0].max() + 1)
    ours = found.details["matching"]["feedrank"]
    assert ours["n_listed"] == sum(r["n"] for r in rows[:5])
    assert ours["n_matching"] == sum(r["n"] for r in rows)
    assert all(r["low"] < r["high"] for r in rows if r["n"])


def test_the_cut_keeps_what_scoring_everything_would_name(found: Reports) -> None:
    cut = found.details["candidate_cut"]
    assert cut["n_requests"] >= 50
    assert 0.8 < cut["kept"] <= 1


def test_requests_have_the_means_of_the_metrics(
    learned: Learned, results: list[FoldResult], found: Reports, tmp_path: Path
) -> None:
    summary = Summary.of(results, learned.params.validate)
    table = summary.requests(learned.log, learned.store.catalogue)
    assert len(table) == len(joined(results).user)
    for kind in ("expected", "shown", "catalogue"):
        mean = table[column("feedrank", kind, 5)].mean()
        assert mean == pytest.approx(found.metrics["hitrate@5"][kind], abs=1e-4)
    assert not table.duplicated(["user_id", "at"]).any()


def test_the_learning_curve_ends_with_the_ranker_s_own_loss(
    results: list[FoldResult], found: Reports
) -> None:
    assert found.curve["trees"].iloc[0] == 0
    assert found.curve["trees"].is_monotonic_increasing
    assert found.curve["training"].iloc[-1] < found.curve["training"].iloc[0]
