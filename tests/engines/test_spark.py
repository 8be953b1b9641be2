"""The engine `spark` gives the same bytes as processes do, and outlives a lost machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from feedrank.artifact.export import export
from feedrank.engines.engine import Engine, using
from feedrank.engines.selection import running_on
from feedrank.errors import FeedrankError, SchemaError
from feedrank.features.row_files import StoredRows, load_rows
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.features.spec import features_of
from feedrank.io.storage import url_of
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import EngineParams, Params
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.state.feature_store import FeatureStore
from feedrank.training.fit import fit_ranker
from feedrank.validation.fold import FoldResult, run_fold
from tests.engines import spark_jobs
from tests.support.scratch import scratch
from tests.support.simulated_logs import (
    DEFAULTS,
    different_files,
    fitted,
    learned,
    params,
    simulated_network,
    workers,
    write_log,
)

ROOT = Path(__file__).parents[2]
MASTER = "local-cluster[2,1,1024]"  # two executors, processes of their own, one core each
JAVA = str(Path(os.environ["JAVA_HOME"], "bin", "java")) if "JAVA_HOME" in os.environ else "java"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None,
        reason="PySpark is not installed: `make test-spark` installs it and runs these",
    ),
    pytest.mark.skipif(
        shutil.which(JAVA) is None, reason="there is no Java, which Spark runs on (17 or newer)"
    ),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets that Py4J leaves to Python
]


def _params() -> Params:
    return params(features={"warmup_days": 7})


def _engine_params(**changes: object) -> EngineParams:
    return replace(DEFAULTS.engine, name="spark", master=MASTER, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Made:
    """What the stages write, in one folder."""

    folder: Path
    store: FeatureStore
    rows: TrainingRows

    @classmethod
    def save(cls, folder: Path, store: FeatureStore, rows: TrainingRows) -> Made:
        for name, made in (("features", store), ("rows", rows)):
            (folder / name).mkdir(parents=True)
            made.save(folder / name)
        return cls(folder, store, rows)

    def export(self) -> Path:
        """Train, and write the artifact."""
        artifact, ranker = self.folder / "artifact", self.folder / "ranker"
        ranker.mkdir()
        fitted(self.store, self.rows, _params()).save(ranker)
        export(artifact, self.folder / "features", ranker, _params().export, {}, 1, 5)
        return artifact


@pytest.fixture(scope="module")
def log() -> Log:
    network, rows = simulated_network()
    return write_log(scratch() / "log-of-5", network.users, network.posts, rows, buckets=5)


@pytest.fixture(scope="module")
def local(log: Log) -> Made:
    return Made.save(scratch() / "local", *learned(log, _params()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # where executors find the tests' own jobs
        patch.setenv("SPARK_WORKER_DIR", str(scratch() / "spark"))
        with running_on(_engine_params()) as engine:
            yield engine


@pytest.fixture(scope="module")
def spark(engine: Engine, log: Log) -> Made:
    with using(engine):
        log = Log.open(engine.share(log.directory))
        store = fit_store(log, _params())  # type: ignore[arg-type]
        rows = training_rows(log, store, _params())  # type: ignore[arg-type]
    assert isinstance(rows, TrainingRows)
    return Made.save(scratch() / "spark-made", store, rows)


def test_feature_store_and_training_rows_are_the_same_bytes(local: Made, spark: Made) -> None:
    for name in ("features", "rows"):
        assert different_files(local.folder / name, spark.folder / name) == []


def test_the_artifact_is_the_same_bytes(local: Made, spark: Made) -> None:
    assert different_files(local.export(), spark.export()) == []


def test_the_replay_gives_the_same_lists(local: Made, engine: Engine, log: Log) -> None:
    features = local.folder / "features"
    with workers(1):
        expected = _fold(log, features, local.rows)
    with using(engine):
        found = _fold(log, engine.share(features), local.rows)
    for name, values in vars(expected.replayed).items():
        np.testing.assert_array_equal(getattr(found.replayed, name), values, err_msg=name)
    np.testing.assert_array_equal(found.probability, expected.probability)
    assert repr(found.randomness) == repr(expected.randomness)


def _fold(log: Log, features: Path | str, rows: TrainingRows | StoredRows) -> FoldResult:
    changed = _params()
    fold = Calendar.of(log.meta, 7, None).folds(1)[0]
    return run_fold(log, features, rows, fold, changed)


def test_a_lost_executor_changes_nothing(
    local: Made, engine: Engine, log: Log, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    with using(spark_jobs.LosingMachines(engine, notes)):
        log = Log.open(engine.share(log.directory))
        store = fit_store(log, _params())  # type: ignore[arg-type]
        rows = training_rows(log, store, _params())  # type: ignore[arg-type]
    assert isinstance(rows, TrainingRows)
    made = Made.save(tmp_path / "made", store, rows)
    assert {note.name for note in notes.iterdir()} == {
        "reading the warm-up",
        "counting",
        "finding clusters and factors of posts",
        "counting by cluster",
        "assembling",
    }
    assert not any(psutil.pid_exists(int(note.read_text())) for note in notes.iterdir())
    for name in ("features", "rows"):
        assert different_files(local.folder / name, made.folder / name) == []


def test_rows_beyond_the_bound_stay_in_the_store(
    local: Made, engine: Engine, log: Log, tmp_path: Path
) -> None:
    few = replace(_params(), engine=_engine_params(held_rows=100))
    with using(engine):
        log = Log.open(engine.share(log.directory))
        store = fit_store(log, few)
        rows = training_rows(log, store, few, engine.rows_place(tmp_path))
        rows.save(tmp_path)
        stored = load_rows(tmp_path)
        assert isinstance(stored, StoredRows)
        all_of_them = stored.between(0, 1 << 31)
        ranker = fit_ranker(stored, None, features_of(local.store.fitted), few.train)
        again = fit_ranker(stored, None, features_of(local.store.fitted), few.train)
        fold = _fold(log, local.folder / "features", stored)
    for name, values in vars(local.rows).items():
        np.testing.assert_array_equal(getattr(all_of_them, name), values, err_msg=name)
    assert again.content == ranker.content
    assert np.isfinite(fold.probability).all()
    _are_alike(
        ranker, fit_ranker(local.rows, None, features_of(local.store.fitted), few.train), local
    )


def _are_alike(found: XGBoostRanker, expected: XGBoostRanker, made: Made) -> None:
    """Trees of histograms that were cut elsewhere: others, which say nearly the same."""
    assert found.feature_names == expected.feature_names
    assert found.first_stage == expected.first_stage
    matrix, liked = made.rows.matrix, made.rows.liked
    p, q = (r.probability(matrix).astype(float) for r in (found, expected))
    losses = [-np.mean(np.where(liked == 1, np.log(x), np.log1p(-x))) for x in (p, q)]
    assert abs(losses[0] - losses[1]) < 0.001
    assert np.mean(np.abs(p - q)) < 0.01
    assert not np.array_equal(p, found.first_stage(matrix))


def test_everything_may_lie_at_a_url(local: Made, engine: Engine, log: Log, tmp_path: Path) -> None:
    # Not a folder of this machine, for all that the library can tell.
    place = "fsspec+" + url_of(tmp_path / "store")
    few = replace(_params(), engine=_engine_params(held_rows=100, store=place))
    stored = replace(engine, store=place)  # type: ignore[type-var]
    with using(stored):
        log_url, features_url = stored.share(log.directory), stored.share(local.folder / "features")
        assert stored.share(log.directory) == log_url
        log = Log.open(log_url)
        store = fit_store(log, few)
        rows = training_rows(log, store, few, stored.rows_place(tmp_path / "rows"))
        fold = _fold(Log.open(log_url), features_url, local.rows)
        assert isinstance(rows, StoredRows)
        found = rows.between(0, 1 << 31)
    assert rows.url == f"{place}/rows"
    np.testing.assert_array_equal(found.matrix, local.rows.matrix)
    with workers(1):
        expected = _fold(log, local.folder / "features", local.rows)
    np.testing.assert_array_equal(fold.replayed.top, expected.replayed.top)


def test_answers_come_in_order_however_large(engine: Engine) -> None:
    sizes = [(len(a), a[:1]) for a in engine.map_parts(spark_jobs.large, 3, "making")]
    assert sizes == [((40 << 20) + part, bytes([part])) for part in range(3)]


def test_sums_are_added_up_in_the_order_of_parts(engine: Engine) -> None:
    others: list[int] = []
    one = engine.sum_parts(spark_jobs.named, "".join, 21, "naming", others.append)
    assert one.split() == [str(part) for part in range(21)]
    assert others == [-part for part in range(21)]


def test_a_refusal_is_raised_as_itself(engine: Engine) -> None:
    with pytest.raises(SchemaError, match=r"^part 2 holds no like$"):
        list(engine.map_parts(spark_jobs.refuse, 4, "refusing"))


def test_a_task_that_always_crashes_ends_the_job_with_advice(engine: Engine) -> None:
    with pytest.raises(FeedrankError, match=r"gave up while crashing(?s:.*)extract\.buckets"):
        list(engine.map_parts(spark_jobs.crash, 2, "crashing"))


def test_without_java_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with (
        pytest.raises(FeedrankError, match=r"Java 17 or newer.*openjdk-17.*'engine.name' to local"),
        running_on(_engine_params()),
    ):
        pass


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    assert subprocess.run([java], capture_output=True, check=True).stderr
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(FeedrankError, match="but there is Java 11"), running_on(_engine_params()):
        pass


def test_a_master_that_spark_refuses_is_named() -> None:
    code = (
        "from dataclasses import replace; from feedrank.params import load_params; "
        "from feedrank.engines.selection import running_on; from stages.run import run; "
        "bad = replace(load_params().engine, name='spark', master='local-cluster[x]'); "
        "run(lambda: running_on(bad).__enter__())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error: Spark did not start on 'local-cluster[x]'" in done.stderr
    assert "Traceback" not in done.stderr
