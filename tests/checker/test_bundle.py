"""Checker bundle: both files answer as the artifact does, without the library around them."""

from __future__ import annotations

import ast
import json
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from feedrank.artifact.artifact import Artifact
from feedrank.checker import bundle
from feedrank.checker.bundle import serving_modules, write_bundle
from feedrank.checker.model import Model, Probe, check
from feedrank.checker.truncated_history import truncated
from feedrank.checker.xgboost_1_6 import for_older_readers, older_ranker
from feedrank.errors import ArtifactError
from feedrank.params import CheckerParams
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from tests.support.course.bundles import EVERYTHING, something_to_play, write_small_bundle
from tests.support.course.judge import compare
from tests.support.course.requests import draw_requests, hit_rate
from tests.support.course.trial import lists_of_the_service, play
from tests.support.simulated_logs import simulated_network

ROOT = Path(__file__).parents[2]
FOREIGN = {"numpy", "scipy", "xgboost"}  # XGBoost asks for scipy itself


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    return write_small_bundle(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def artifact(made: tuple[Artifact, Path]) -> Artifact:
    return made[0]


@pytest.fixture(scope="module")
def model(made: tuple[Artifact, Path]) -> Model:
    return Model.load(str(made[1] / "model"))


@pytest.fixture(scope="module")
def matrix(artifact: Artifact) -> np.ndarray:
    return artifact.recommender.matrix(3, 20 * 86_400, np.arange(artifact.store.meta.n_posts))


def test_a_fresh_process_with_nothing_of_ours_answers_as_the_service(
    made: tuple[Artifact, Path], tmp_path: Path
) -> None:
    artifact, directory = made
    given = something_to_play(artifact, 200)

    found = play(Path(sys.executable), directory, given, tmp_path / "empty")

    ours = lists_of_the_service(artifact.directory, given["requests"])
    played = compare(artifact, given["requests"], ours, found)
    assert found["difference"] == 0
    assert played.equal == 1
    assert [w for w in found["warnings"] if "app.py" in w or "pydantic" in w.lower()] == []


def test_the_whole_of_it_is_two_files(made: tuple[Artifact, Path]) -> None:
    assert sorted(path.name for path in made[1].iterdir()) == ["app.py", "model"]


def test_what_the_file_carries_imports_numpy_and_xgboost_alone() -> None:
    imported = set()
    for path in serving_modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"feedrank"} == FOREIGN


def test_what_the_file_carries_loads_without_anything_else() -> None:
    blocked = ("pandas", "pyarrow", "yaml", "sklearn", "tqdm", "threadpoolctl", "sqlalchemy")
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked}))"
    code = f"{block}; import feedrank.checker.model"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def _each(pattern: str) -> list[str]:
    """The patterns that one with braces stands for."""
    head, _, rest = pattern.partition("{")
    words, _, tail = rest.partition("}")
    return [f"{head}{word}{tail}" for word in words.split(",")]


def test_what_the_file_carries_is_held_to_the_syntax_of_python_3_8() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    held = {p for t in ruff["per-file-target-version"] for one in _each(t) for p in ROOT.glob(one)}
    app = ROOT / "feedrank" / "checker" / "app.py"
    for path in [app, *serving_modules()]:
        ast.parse(path.read_text(), feature_version=(3, 8))
        if path.name != "__init__.py":
            assert path in held, f"'{path}' is not under per-file-target-version"


def test_the_file_carries_the_very_modules_that_serve(made: tuple[Artifact, Path]) -> None:
    with zipfile.ZipFile(made[1] / "model") as archive:
        carried = {name for name in archive.namelist() if name.endswith(".py")}
        assert {
            "feedrank/ranking/recommender.py",
            "feedrank/features/spec.py",
            "feedrank/state/shared.py",
        } <= carried
        assert all(archive.read(name) == (ROOT / name).read_bytes() for name in carried)


def test_the_same_artifact_gives_the_same_bytes(
    made: tuple[Artifact, Path], tmp_path: Path
) -> None:
    write_bundle(tmp_path / "again", made[0], EVERYTHING)
    for name in ("app.py", "model"):
        assert (tmp_path / "again" / name).read_bytes() == (made[1] / name).read_bytes()


def test_probabilities_have_two_columns_that_sum_to_one(model: Model, matrix: np.ndarray) -> None:
    found = model.predict_proba(matrix)
    assert found.shape == (len(matrix), 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.array_equal(found[:, 1], model.recommender.ranker.probability(matrix))


def test_a_label_is_the_likelier_side(model: Model, matrix: np.ndarray) -> None:
    likely = matrix.copy()
    likely[:, model.feature_names_in_.tolist().index("post_logit")] = 10
    assert model.predict(likely).all()
    assert not model.predict(-np.abs(likely)).any()


def test_columns_of_a_table_may_come_in_any_order(model: Model, matrix: np.ndarray) -> None:
    table = pd.DataFrame(matrix, columns=model.feature_names_in_)
    shuffled = table[table.columns[::-1]].assign(more=1)
    assert np.array_equal(model.predict_proba(shuffled), model.predict_proba(matrix))


def test_a_table_without_a_feature_is_refused_by_its_name(model: Model, matrix: np.ndarray) -> None:
    table = pd.DataFrame(matrix, columns=model.feature_names_in_).drop(columns="post_log_age")
    with pytest.raises(ValueError, match=r"lacks the features.*post_log_age"):
        model.predict(table)


def test_rows_of_another_width_are_refused(model: Model, matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one column for each of 'feature_names_in_'"):
        model.predict_proba(matrix[:, :-1])
    with pytest.raises(ValueError, match=r"rows have shape \(\d+,\)"):
        model.predict_proba(matrix[0])


def test_a_moment_with_an_offset_is_turned_to_the_clock_of_the_log(
    model: Model, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = replace(artifact.store.meta, offsets=((0, 3 * 3600),))
    monkeypatch.setattr(model.recommender, "meta", clock)
    user = int(artifact.store.catalogue.user_ids[0])
    at = datetime(2021, 10, 20, 2, 30)
    utc = (at - timedelta(hours=3)).replace(tzinfo=UTC)
    others = model.posts(user, utc.replace(tzinfo=None), 5)
    assert model.posts(user, at, 5) == model.posts(user, utc, 5) != others


def test_posts_come_with_their_texts_and_topics(model: Model, artifact: Artifact) -> None:
    store = artifact.store
    user = int(store.catalogue.user_ids[0])
    posts = model.posts(user, datetime(2021, 10, 20), 3)
    assert len(posts) == 3
    for post in posts:
        row = store.catalogue.post(post["id"])
        assert (post["text"], post["topic"]) == (store.text[row], store.topic[row])


def test_an_unknown_user_and_an_empty_list_are_refused(model: Model, artifact: Artifact) -> None:
    with pytest.raises(KeyError):
        model.posts(-1, datetime(2021, 10, 20), 5)
    with pytest.raises(KeyError):
        model.posts(2**70, datetime(2021, 10, 20), 5)
    with pytest.raises(ValueError, match="ask for 1 post or more"):
        model.posts(int(artifact.store.catalogue.user_ids[0]), datetime(2021, 10, 20), 0)


def _as_written(ranker: XGBoostRanker) -> str:
    """The base score as this XGBoost writes it."""
    model = ranker.model
    return str(model["learner"]["learner_model_param"]["base_score"])


def test_the_base_score_is_a_plain_number(artifact: Artifact) -> None:
    ranker = artifact.recommender.ranker
    assert _as_written(ranker).startswith("["), "this XGBoost needs no conversion any more"
    model = json.loads(for_older_readers(ranker.content))
    base = model["learner"]["learner_model_param"]["base_score"]
    assert [float(base)] == json.loads(_as_written(ranker))


def test_what_older_versions_would_read_is_refused(artifact: Artifact, matrix: np.ndarray) -> None:
    ranker = artifact.recommender.ranker
    probe = Probe.of(ranker, matrix)
    model = json.loads(for_older_readers(ranker.content))
    model["learner"]["learner_model_param"]["base_score"] = "5E-1"  # what 1.6 makes of a list
    wrong = XGBoostRanker(json.dumps(model).encode())
    with pytest.raises(ArtifactError, match="misreads the ranker of 'model'"):
        check(wrong, probe, "model")


def test_a_ranker_that_is_written_otherwise_is_not_exported(
    artifact: Artifact, matrix: np.ndarray
) -> None:
    probe = Probe.of(artifact.recommender.ranker, matrix)
    other = probe._replace(trees=np.nextafter(probe.trees, 1))
    with pytest.raises(ArtifactError, match="differs from the artifact's on the probe"):
        older_ranker(artifact.recommender.ranker, other)


def test_the_ranker_s_trees_matter_here(artifact: Artifact) -> None:
    assert artifact.recommender.ranker.n_rounds > 5


def test_a_bundle_that_fails_leaves_the_former_one_alone(
    made: tuple[Artifact, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checker").mkdir()
    (tmp_path / "checker" / "model").write_text("former")

    def fails(*_: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(bundle, "older_ranker", fails)
    with pytest.raises(OSError, match="no space left"):
        write_bundle(tmp_path / "checker", made[0], EVERYTHING)
    assert (tmp_path / "checker" / "model").read_text() == "former"


def test_old_views_may_be_left_out(made: tuple[Artifact, Path], tmp_path: Path) -> None:
    artifact, whole = made
    write_bundle(tmp_path / "short", artifact, CheckerParams(history_days=5))
    short = Model.load(str(tmp_path / "short" / "model"))
    steps, first = artifact.store.shared.n_steps, artifact.store.meta.n_days - 5
    for user in range(20):
        post, step, liked = artifact.store.history.before(user, steps)
        late = np.asarray(step) >= first
        kept = short.store.history.before(user, steps)
        assert [a.tolist() for a in kept] == [
            np.asarray(a)[late].tolist() for a in (post, step, liked)
        ]
    sizes = [(d / "model").stat().st_size for d in (tmp_path / "short", whole)]
    assert sizes[0] < sizes[1]


def test_longer_than_the_log_keeps_all(artifact: Artifact) -> None:
    kept = truncated(artifact.store, 3650).history
    for name, array in vars(artifact.store.history).items():
        assert np.array_equal(getattr(kept, name), array), name


def test_the_app_says_where_the_model_is_missing(
    made: tuple[Artifact, Path], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_bytes((made[1] / "app.py").read_bytes())
    told = subprocess.run(
        [sys.executable, "-c", "import app; app.load_models()"],
        cwd=tmp_path, env={"IS_LMS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "'/workdir/user_input/model' is missing" in told.stderr


def test_lists_that_differ_are_counted_and_ties_are_told_apart(artifact: Artifact) -> None:
    requests = draw_requests(artifact.store, 4)
    lists = lists_of_the_service(artifact.directory, requests)
    worse = artifact.recommender.recommend(
        requests[1][0], datetime.fromisoformat(requests[1][1]), artifact.store.meta.n_posts
    )[-5:]
    found = {"lists": [lists[0], [post for post, _ in worse], lists[2], lists[3]]}

    played = compare(artifact, requests, lists, found)
    alike = compare(artifact, requests, found["lists"], found)

    assert (played.equal, played.n_ties, played.n_others) == (0.75, 0, 1)
    assert (alike.equal, alike.n_others) == (1, 0)


def test_posts_that_are_equally_likely_are_a_tie(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = draw_requests(artifact.store, 2)
    lists = lists_of_the_service(artifact.directory, requests)
    found = {"lists": [lists[0], lists[1][::-1]]}
    even = np.full(5, 0.1, dtype=np.float32)
    monkeypatch.setattr(type(artifact.recommender), "score", lambda *_: even)

    played = compare(artifact, requests, lists, found)

    assert (played.equal, played.n_ties, played.n_others) == (0.5, 1, 0)


def test_the_hit_rate_is_the_chance_of_a_like_among_five(
    artifact: Artifact, tmp_path: Path
) -> None:
    network, _ = simulated_network()
    network.truth.save(tmp_path)
    store = artifact.store
    requests = draw_requests(store, 10)
    lists = [store.catalogue.post_ids[i : i + 5].tolist() for i in range(10)]
    hits = []
    for (user_id, moment), posts in zip(requests, lists, strict=True):
        at = network.truth.seconds(datetime.fromisoformat(moment))
        p = network.truth.probabilities(store.catalogue.user(user_id), at)
        hits.append(1 - np.prod([1 - p[store.catalogue.post(post)] for post in posts]))

    assert hit_rate(store, requests, lists, tmp_path) == pytest.approx(np.mean(hits))
    assert hit_rate(store, requests, lists, tmp_path / "none") is None


def test_the_stage_writes_where_the_docs_say() -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["checker"]
    assert stage["outs"] == ["models/checker"]


def _cut(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1000])


def _flip(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip, lambda model: model.write_bytes(b"")])
def test_a_cut_or_changed_file_is_refused_in_a_sentence(
    made: tuple[Artifact, Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(made[1], tmp_path / "bad")
    damage(tmp_path / "bad" / "model")
    before = list(sys.path)

    with pytest.raises(SystemExit, match=r"error: '.*model' is not whole: .+\. Upload the files"):
        runpy.run_path(str(tmp_path / "bad" / "app.py"))

    assert sys.path == before  # nothing was imported from it


@pytest.mark.parametrize("gone", ["about.json", "store/history_post.npy", "golden.json"])
def test_a_model_that_lacks_a_part_is_refused_in_a_sentence(
    made: tuple[Artifact, Path], tmp_path: Path, gone: str
) -> None:
    with (
        zipfile.ZipFile(made[1] / "model") as whole,
        zipfile.ZipFile(tmp_path / "model", "w") as archive,
    ):
        for name in whole.namelist():
            if name != gone:
                archive.writestr(name, whole.read(name))

    with pytest.raises(ArtifactError, match=r"model' cannot be read \(.*Copy it again, or make it"):
        Model.load(str(tmp_path / "model"))
