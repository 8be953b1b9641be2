from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.experiments import ablation
from feedrank.experiments.ablated_ranker import muted_ranker, muted_rows
from feedrank.experiments.ablation import (
    USER_STATE,
    Ablation,
    ablations,
    lines_of,
    requests_without,
    table_of,
)
from feedrank.features.spec import features_of
from feedrank.params import Params
from feedrank.state.feature_store import FeatureStore
from tests.support.request_tables import hits_table, reordered
from tests.support.simulated_logs import Learned, fitted, saved, simulated, workers


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def test_muted_features_change_no_probability(learned: Learned) -> None:
    names = [f.name for f in features_of(learned.store.fitted)]
    columns = [names.index(name) for name in USER_STATE]
    rows = muted_rows(learned.rows, columns)
    ranker = muted_ranker(fitted(learned.store, rows, learned.params), columns)
    matrix = np.array(learned.rows.matrix[:500])
    before = ranker.probability(matrix)
    matrix[:, columns] = np.random.default_rng(0).normal(size=(500, len(columns)))
    np.testing.assert_array_equal(ranker.probability(matrix), before)
    assert not np.array_equal(learned.ranker.probability(matrix), before)


def test_every_muted_feature_exists(learned: Learned) -> None:
    fitted = learned.store.fitted
    of_one_topic = replace(fitted, vocabulary=replace(fitted.vocabulary, n_topics=1))
    odd_names = replace(fitted, column_names=("tags[a]", "user", *fitted.column_names[2:]))
    for parameters in (fitted, of_one_topic, odd_names):
        muted = {name for ablation in ablations(parameters) for name in ablation.muted}
        assert set(USER_STATE) <= muted <= {f.name for f in features_of(parameters)}
    (of_topics,) = (a for a in ablations(odd_names) if a.name == "topics")
    assert {"tags_a__topic_log_ratio", "user_topic_log_ratio_"} <= set(of_topics.muted)
    assert "user_topic_log_ratio" not in of_topics.muted


def test_the_ablations_begin_with_the_full_ranker(learned: Learned) -> None:
    names = [a.name for a in ablations(learned.store.fitted)]
    parts = [
        "user state",
        "pair",
        "windows",
        "topics",
        "age",
        "clusters",
        "factors",
        "refits",
        "text",
    ]
    assert names == ["full", "age x post", *parts]
    without = replace(learned.store.fitted, segment_column=-1, segments_since=0)
    assert [a.name for a in ablations(without)] == ["full", *parts]


@pytest.fixture
def folder(learned: Learned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return _leave_features(learned, tmp_path, monkeypatch)


def _leave_features(learned: Learned, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with what `features` leaves behind."""
    saved(learned, folder / "data")
    (folder / "data" / "rows").mkdir()
    learned.rows.save(folder / "data" / "rows")
    patch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def one_fold(learned: Learned) -> Params:
    return replace(learned.params, validate=replace(learned.params.validate, folds=1))


@pytest.fixture(scope="module")
def full(
    learned: Learned, one_fold: Params, tmp_path_factory: pytest.TempPathFactory
) -> pd.DataFrame:
    """Requests of the full ranker."""
    with pytest.MonkeyPatch.context() as patch, workers(1):
        _leave_features(learned, tmp_path_factory.mktemp("full"), patch)
        return requests_without(ablations(learned.store.fitted)[0], learned.log, one_fold)


# This network has no factors to leave out.
@pytest.mark.parametrize("name", ["user state", "age x post", "clusters", "refits", "text"])
def test_an_ablation_has_other_hits_on_the_same_requests(
    learned: Learned, one_fold: Params, full: pd.DataFrame, folder: Path, name: str
) -> None:
    by_name = {a.name: a for a in ablations(learned.store.fitted)}
    with workers(1):
        other = requests_without(by_name[name], learned.log, one_fold)
    for key in ("user_id", "at"):
        pd.testing.assert_series_equal(full[key], other[key])
    ours = "feedrank/expected@5"
    assert not np.array_equal(full[ours], other[ours])
    table = table_of({"full": full, name: other}, one_fold)
    assert table[0]["expected_change"] == 0
    assert table[1]["expected_low"] <= table[1]["expected_change"] <= table[1]["expected_high"]
    assert lines_of(table)[2].startswith("| full | 0.")


def test_an_ablation_that_refits_leaves_the_log_as_it_was(
    learned: Learned, one_fold: Params, folder: Path
) -> None:
    before = {p.name: p.read_bytes() for p in learned.log.directory.iterdir()}
    without = Ablation("x", "x", posts=lambda p: p.assign(text=""))
    with workers(1):
        requests_without(without, learned.log, one_fold)
    assert {p.name: p.read_bytes() for p in learned.log.directory.iterdir()} == before
    assert FeatureStore.load(folder / "data" / "features")


def test_a_hit_rate_without_a_value_is_a_dash_in_the_table(learned: Learned) -> None:
    full = hits_table().assign(**{"feedrank/shown@5": np.nan})
    other = reordered(hits_table(gain=0.06)).assign(**{"feedrank/shown@5": np.nan})
    rows = table_of({"full": full, "text": other}, learned.params)
    head, _, same, changed = lines_of(rows)
    assert head.count("|") == same.count("|") == changed.count("|")
    assert same.endswith("| +0.000 [+0.000, +0.000] | - | - [-, -] |")
    assert changed.endswith("] | - | - [-, -] |")


def test_a_word_too_many_starts_no_ablation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ablation.main(["--users", "9"])
    assert "unrecognized arguments: --users 9" in capsys.readouterr().err
