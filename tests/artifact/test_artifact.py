from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedrank.artifact import export as exporting
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.checks.schema import HIDDEN
from feedrank.artifact.export import export
from feedrank.artifact.manifest import GOLDEN, MANIFEST
from feedrank.checker.bundle import write_model
from feedrank.checker.model import Model
from feedrank.errors import ArtifactError
from feedrank.features.spec import features_of
from feedrank.log.metadata import NEVER
from feedrank.params import CheckerParams
from feedrank.ranking.rankers.xgboost_ranker import FILE, XGBoostRanker
from stages import export as stage
from tests.support.simulated_logs import DAY, Learned, pictured, saved, simulated, worded
from tests.support.small_artifact import CODE, edit_manifest, sign_again

FACTS = {"metrics": {"hitrate@5": {"expected": 0.5}}, "params_sha256": "0"}


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


@pytest.fixture(scope="module")
def sources(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return saved(learned, tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def made(
    learned: Learned, sources: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    directory = tmp_path_factory.mktemp("made") / "artifact"
    export(directory, *sources, learned.params.export, FACTS, seed=1, k=5)
    return directory


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "artifact"))


def _manifest(directory: Path) -> dict[str, Any]:
    return json.loads((directory / MANIFEST).read_text())  # type: ignore[no-any-return]


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_an_artifact_answers_as_the_recommender_it_was_made_of(
    learned: Learned, made: Path
) -> None:
    loaded = Artifact.load(made)
    for user, at in ((0, -10), (100, 2_000_000), (299, 10**8)):
        first, second = (r.rank(user, at, 5) for r in (loaded.recommender, learned.recommender))
        assert first.post.tolist() == second.post.tolist()
        assert first.probability.tobytes() == second.probability.tobytes()


def test_the_manifest_says_what_the_artifact_is(learned: Learned, made: Path) -> None:
    manifest = _manifest(made)
    assert manifest["features"] == [f.name for f in features_of(learned.store.fitted)]
    assert manifest["as_of"] == learned.log.meta.moment(learned.log.meta.last_at).isoformat()
    assert manifest["metrics"] == FACTS["metrics"]
    assert manifest["libraries"].keys() >= {"numpy", "xgboost"}
    listed = {*manifest["files"], MANIFEST}
    assert listed == {path.name for path in made.iterdir()}


def test_an_artifact_holds_no_pickle(made: Path) -> None:
    for path in made.iterdir():
        assert path.suffix in {".json", ".npy"}, path.name
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)


def test_exporting_again_gives_the_same_bytes(
    learned: Learned, sources: tuple[Path, Path], made: Path, tmp_path: Path
) -> None:
    export(tmp_path / "artifact", *sources, learned.params.export, FACTS, seed=1, k=5)
    for path in made.iterdir():
        assert (tmp_path / "artifact" / path.name).read_bytes() == path.read_bytes(), path.name


def test_an_artifact_with_embeddings_answers_alike_and_places_posts_by_them(
    tmp_path: Path,
) -> None:
    learned = pictured()
    export(
        tmp_path / "artifact", *saved(learned, tmp_path), learned.params.export, FACTS, seed=1, k=5
    )
    loaded = Artifact.load(tmp_path / "artifact")
    write_model(tmp_path / "model", loaded, CheckerParams(history_days=None))
    bundled = Model.load(str(tmp_path / "model")).recommender
    for user, at in ((0, 2_000_000), (299, 10**8)):
        ours = learned.recommender.rank(user, at, 5)
        for other in (loaded.recommender, bundled):
            assert other.rank(user, at, 5).post.tolist() == ours.post.tolist()
    vector = np.arange(8, dtype=np.float32)
    gates = [
        store.fitted.vocabulary.times("", 0, vector, store.fitted.refits[-1].clusters.gate)
        for store in (learned.store, loaded.store, bundled.store)
    ]
    np.testing.assert_array_equal(gates[1:], gates[:1] * 2)
    np.save(tmp_path / "artifact" / "fitted_embedding_axes.npy", np.zeros((8, 7)))
    sign_again(tmp_path / "artifact")
    with pytest.raises(ArtifactError, match="one a word and axis"):
        Artifact.load(tmp_path / "artifact")


def test_an_artifact_of_texts_that_tell_quality_answers_alike_and_bounds_it(tmp_path: Path) -> None:
    learned, path = worded(), tmp_path / "artifact"
    export(path, *saved(learned, tmp_path), learned.params.export, FACTS, seed=1, k=5)
    loaded = Artifact.load(path)
    write_model(tmp_path / "model", loaded, CheckerParams(history_days=None))
    ours = learned.recommender.rank(0, 10**7, 5)
    for other in (loaded.recommender, Model.load(str(tmp_path / "model")).recommender):
        assert other.rank(0, 10**7, 5).post.tolist() == ours.post.tolist()
    for content, words in ((np.full(240, 9.0), "are not within 0.2 to 5"), (None, "is missing")):
        if content is not None:
            np.save(path / "fitted_text_quality_0.npy", content)
        else:
            (path / "fitted_quality_of_text_0.npy").unlink()
        sign_again(path)
        with pytest.raises(ArtifactError, match=words):
            Artifact.load(path)


def test_golden_requests_ask_before_within_and_after_the_data(
    learned: Learned, sources: tuple[Path, Path], tmp_path: Path
) -> None:
    params = learned.params.export
    many = type(params)(**{**vars(params), "golden_requests": 100})
    export(tmp_path / "artifact", *sources, many, FACTS, seed=1, k=5)
    golden = json.loads((tmp_path / "artifact" / GOLDEN).read_text())
    moments = np.array([request["at"] for request in golden])
    end = learned.log.meta.last_at
    assert (moments < 0).any()
    assert (moments > end).any()
    assert np.sum((moments >= 0) & (moments <= end)) >= 50
    assert len({request["user"] for request in golden}) > 50


def _remove_a_file(directory: Path) -> None:
    (directory / "history_post.npy").unlink()


def _flip_a_byte_of_the_ranker(directory: Path) -> None:
    _flip_a_byte(directory / FILE)


def _flip_a_byte_of_the_history(directory: Path) -> None:
    _flip_a_byte(directory / "history_liked.npy")


def _cut_the_manifest(directory: Path) -> None:
    path = directory / MANIFEST
    path.write_bytes(path.read_bytes()[:200])


def _empty_the_manifest(directory: Path) -> None:
    (directory / MANIFEST).write_text("")


def _remove_the_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink()


def _other_format(directory: Path) -> None:
    edit_manifest(directory, format=99)


def _no_format(directory: Path) -> None:
    edit_manifest(directory, format=None)


def _no_list_of_files(directory: Path) -> None:
    edit_manifest(directory, files=None)


def _no_way_to_recommend(directory: Path) -> None:
    edit_manifest(directory, recommend=None)


def _unknown_way_to_recommend(directory: Path) -> None:
    edit_manifest(directory, recommend={**_manifest(directory)["recommend"], "magic": 1})


def _other_order_of_features(directory: Path) -> None:
    edit_manifest(directory, features=_manifest(directory)["features"][::-1])


def _fewer_features(directory: Path) -> None:
    edit_manifest(directory, features=_manifest(directory)["features"][:-1])


def _another_file_for_a_ranker(directory: Path) -> None:
    (directory / FILE).write_bytes(b"not a booster")
    sign_again(directory)


def _a_ranker_without_a_first_stage(directory: Path) -> None:
    booster = XGBoostRanker.load(directory).booster
    booster.set_attr(feedrank_first_stage=None)
    booster.save_model(directory / FILE)
    sign_again(directory)


def _a_ranker_that_answers_otherwise(directory: Path) -> None:
    ranker = XGBoostRanker.load(directory)
    first = ranker.first_stage
    weights = (first.weights[0] * 1.1, *first.weights[1:])
    ranker.with_first_stage(replace(first, weights=weights)).save(directory)
    sign_again(directory)


def _golden(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / GOLDEN
    requests = json.loads(path.read_text())
    change(requests[3])
    path.write_text(json.dumps(requests))
    sign_again(directory)


def _other_posts_stored(directory: Path) -> None:
    _golden(directory, lambda request: request.update(post=[249, 248, 247, 246, 245]))


def _a_longer_list_stored(directory: Path) -> None:
    _golden(
        directory,
        lambda request: request.update(probability=[*request["probability"], 0.01]),
    )


DAMAGE = {
    _remove_the_manifest: r"holds no artifact \('manifest.json' is missing\).*`dvc repro`",
    _cut_the_manifest: r"manifest.json' is not whole.*Copy the whole directory again",
    _empty_the_manifest: r"manifest.json' is not whole.*Copy the whole directory again",
    _other_format: r"is of format 99, this code reads 6\. Run `dvc repro`",
    _no_format: r"is of format None, this code reads 6\. Run `dvc repro`",
    _no_list_of_files: r"manifest.json' is not whole: it lacks 'files'",
    _no_way_to_recommend: r"manifest.json' is not whole: it lacks 'recommend'",
    _unknown_way_to_recommend: r"recommends by .*'magic'.*Export again with this code",
    _remove_a_file: r"history_post.npy' is missing. Copy the whole directory again",
    _flip_a_byte_of_the_ranker: rf"{FILE}' is not the file that was exported: its sha256",
    _flip_a_byte_of_the_history: r"history_liked.npy' is not the file that was exported",
    _other_order_of_features: r"was made for features in another order\. Run `dvc repro`",
    _fewer_features: r"was made for other features: this code alone has \w+\. Run `dvc repro`",
    _another_file_for_a_ranker: rf"{FILE}' is not a ranker",
    _a_ranker_without_a_first_stage: rf"{FILE}' lacks the first stage",
    _a_ranker_that_answers_otherwise: r"answers request user \d+, second -?\d+ with .*was stored",
    _other_posts_stored: r"answers request user \d+, second -?\d+ with .*was stored at export",
    _a_longer_list_stored: r"answers request user \d+, second -?\d+ with .*was stored at export",
}


def test_lists_and_their_reasons_need_no_library_of_the_pipeline(made: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from feedrank.artifact.artifact import Artifact
from feedrank.ranking.explanations import explain
recommender = Artifact.load(Path({str(made)!r})).recommender
assert recommender.ranker.columns, "trees that split"
explain(recommender, 0, {DAY} * 20, recommender.rank(0, {DAY} * 20, 5))
assert not {{"xgboost", "sklearn", "pandas"}} & {{*sys.modules}}
"""
    subprocess.run([sys.executable, "-c", code], cwd=CODE, check=True)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__.strip("_").replace("_", " "))
def test_damage_is_refused_with_its_reason(copy: Path, damage: Callable[[Path], None]) -> None:
    Artifact.load(copy)
    damage(copy)
    with pytest.raises(ArtifactError, match=DAMAGE[damage]):
        Artifact.load(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no artifact"):
        Artifact.load(tmp_path / "nowhere")


@pytest.mark.parametrize("fails", ["FeatureStore", "draw_golden", "_write_json"])
def test_an_export_that_fails_leaves_the_previous_artifact_alone(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    other = simulated(profiles=False)
    sources = saved(other, tmp_path / "other")

    class Failing:
        """Fails whatever it is asked for."""

        def __call__(self, *_: object) -> None:
            raise OSError("no space left")

        load = __call__

    monkeypatch.setattr(exporting, fails, Failing())
    with pytest.raises(OSError, match="no space left"):
        export(copy, *sources, other.params.export, FACTS, seed=2, k=5)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {copy.name, "other"}
    monkeypatch.undo()
    Artifact.load(copy)


def test_a_new_export_takes_the_previous_one_s_place(
    learned: Learned, sources: tuple[Path, Path], copy: Path
) -> None:
    (copy / "stale.npy").write_bytes(b"")
    export(copy, *sources, learned.params.export, {"metrics": {}}, seed=2, k=5)
    assert not (copy / "stale.npy").exists()
    assert Artifact.load(copy).manifest["metrics"] == {}


def test_a_post_that_is_ever_hidden_is_never_served(
    learned: Learned, sources: tuple[Path, Path], tmp_path: Path
) -> None:
    features = Path(shutil.copytree(sources[0], tmp_path / "features"))
    hidden = learned.recommender.rank(4, 20 * DAY, 5).post
    hidden_from = np.full(len(learned.log.posts), NEVER)
    hidden_from[hidden] = 25 * DAY
    np.save(features / HIDDEN, hidden_from)
    directory = tmp_path / "artifact"
    export(directory, features, sources[1], learned.params.export, FACTS, seed=1, k=5)
    artifact = Artifact.load(directory)
    assert not np.isin(hidden, artifact.recommender.rank(4, 20 * DAY, 5).post).any()
    assert not any(np.isin(hidden, golden["post"]).any() for golden in artifact.golden)
    write_model(tmp_path / "model", artifact, learned.params.checker)
    bundled = Model.load(str(tmp_path / "model")).recommender.rank(4, 20 * DAY, 5)
    assert not np.isin(hidden, bundled.post).any()


def test_an_artifact_that_hides_no_post_has_no_file_for_it(made: Path) -> None:
    assert not (made / HIDDEN).exists()


@pytest.mark.parametrize(("written", "seconds"), [("null", None), ("1h", 3_600)])
def test_the_stage_names_the_window_of_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, seconds: int | None
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (CODE / "params.yaml").read_text()
    assert "like_window: null" in text
    Path("params.yaml").write_text(text.replace("like_window: null", f"like_window: {written}"))
    Path("reports").mkdir()
    Path("reports/metrics.json").write_text("{}")
    given: list[Any] = []
    monkeypatch.setattr(stage, "export", lambda *words: given.append(words))
    stage.main()
    ((_, _, _, _, facts, *_),) = given
    assert facts["like_window"] == seconds
