"""An own ranker is fitted, calibrated, saved, served and explained by its name."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.special import logit

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.artifact.notebook import Notebook
from feedrank.artifact.proof import Prover
from feedrank.checker.bundle import write_bundle, write_model
from feedrank.errors import ArtifactError, ParamsError, SchemaError
from feedrank.experiments.ablated_ranker import muted_ranker
from feedrank.features.row_files import StoredRows
from feedrank.features.spec import features_of
from feedrank.io.files import sha256_of
from feedrank.io.param_fields import RANKERS
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.params import CheckerParams, parse_params
from feedrank.ranking.explanations import explain
from feedrank.ranking.rankers import by_name
from feedrank.ranking.rankers.by_name import SHIPPED, load_ranker, named_kind
from feedrank.ranking.rankers.learned import LearnedRanker
from feedrank.state.catalogue import NOBODY
from feedrank.training.fit import fit_ranker
from feedrank.validation.fold import run_fold
from service.app import create_app
from service.settings import Settings
from tests.support.simulated_logs import (
    DAY,
    Learned,
    ranked,
    recommender_of,
    saved,
    tasteful,
    workers,
)

OWN = "again:LikedAgain"
AT = 20 * DAY + 5_000


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    directory = tmp_path / "artifact"
    export(directory, *saved(ranked(), tmp_path), ranked().params.export, {}, seed=1, k=5)
    return directory


def _fitted(
    learned: Learned, source: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Learned:
    """Learned with the class `Own` of a module's source."""
    (folder / "own.py").write_text(
        f"import numpy as np\nfrom feedrank.ranking.rankers.learned import LearnedRanker\n{source}"
    )
    monkeypatch.setattr(by_name, "PLUGINS", folder)
    monkeypatch.setattr(named_kind, "__defaults__", (folder,))
    params = replace(learned.params, train=replace(learned.params.train, ranker="own:Own"))
    spec = features_of(learned.store.fitted)
    made = fit_ranker(learned.rows, None, spec, params.train, learned.store)
    return replace(learned, params=params, ranker=made)


def _ranker(learned: str, score: str) -> str:
    """Source of a class `Own`, from the expressions that its methods return."""
    return f"""
class Own(LearnedRanker):
    @classmethod
    def fit(cls, rows, late, params, early):
        return {learned}

    def score(self, rows):
        return {score}
"""


def test_the_names_of_params_are_those_of_the_shipped_rankers() -> None:
    assert set(RANKERS) == {"xgboost", *SHIPPED}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    groups = json.loads(json.dumps(_groups()))
    groups["train"]["ranker"] = "catboost"
    with pytest.raises(ParamsError, match=r"'train.ranker' is 'catboost'; write xgboost, light.*"):
        parse_params(groups)


def _groups() -> object:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(Path("params.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "words"),
    [("gone:Own", "there is no 'plugins/rankers/gone.py'"), ("again:np", "no class 'np'")],
)
def test_a_plugin_that_is_not_there_is_named(name: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        named_kind(name)


def test_rows_in_files_are_for_xgboost_alone() -> None:
    train = ranked().params.train
    stored = StoredRows.__new__(StoredRows)
    with pytest.raises(ParamsError, match="needs all training rows in memory"):
        fit_ranker(stored, None, (), train, ranked().store)


def test_scores_that_are_no_log_odds_become_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_calls = "{'n_calls': np.array(1 if early is None else early['n_calls'] + 1)}"
    source = _ranker(n_calls, "7 + 3 * rows.log_odds")
    found = _fitted(tasteful(), source, tmp_path, monkeypatch)
    liked = tasteful().rows.liked
    assert found.ranker.learned["n_calls"] == 2
    assert found.ranker.scale == pytest.approx(1 / 3, rel=0.2)
    assert found.probability().mean() == pytest.approx(liked.mean(), rel=0.15)
    whole, first = found.recommender, tasteful().recommender
    assert whole.rank(3, AT, 5).post.tolist() != first.rank(3, AT, 5).post.tolist()


@pytest.mark.parametrize(
    ("learned", "score", "words"),
    [
        (
            "{}",
            "np.full(len(rows.post), np.nan)",
            r"'own:Own' scores [\d,]+ of [\d,]+ rows by a num",
        ),
        ("{}", "np.zeros((len(rows.post), 2))", r"by an array of shape \(\d+, 2\)"),
        ("{}", "None", r"by an array of shape \(\)"),
        ("{}", "rows.log_odds - rows.log_odds.mean()", r"'own:Own' scores a row by .* alone\."),
        ("{}", "rows.past.latest(9).liked.mean() + rows.log_odds", "past of its own request"),
        (
            "{}",
            "self.nope",
            r"'score' of the ranker 'own:Own' fails \(AttributeError: .* in line 10",
        ),
        ("rows.nope", "rows.log_odds", r"'fit' of the ranker 'own:Own' fails \(AttributeError: .*"),
        ("np.zeros(3)", "rows.log_odds", r"'fit' of the ranker 'own:Own' returns ndarray, not a d"),
        ("{'a/b': np.zeros(3)}", "rows.log_odds", "by names that are identifiers"),
        ("{'model': object()}", "rows.log_odds", "arrays of numbers"),
    ],
)
def test_what_is_no_ranker_is_refused_when_it_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learned: str, score: str, words: str
) -> None:
    with pytest.raises(SchemaError, match=words):
        _fitted(tasteful(), _ranker(learned, score), tmp_path, monkeypatch)


def test_a_class_without_a_method_is_refused_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _ranker("{}", "0").partition("    def score")[0]
    with pytest.raises(ParamsError, match=r"class 'Own' of 'own.py' lacks \['score'\]\. Write"):
        _fitted(tasteful(), source, tmp_path, monkeypatch)


def test_a_score_that_is_no_number_is_never_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _ranker("{}", "rows.log_odds * (np.nan if getattr(self, 'breaks', False) else 1)")
    found = _fitted(tasteful(), source, tmp_path, monkeypatch)
    found.ranker.breaks = True
    with pytest.raises(SchemaError, match="a number that is not finite"):
        found.recommender.rank(3, AT, 5)


def test_a_ranker_reads_the_past_before_the_step_alone() -> None:
    of, user = ranked(), 7
    rows = Impressions.joined(of.log.buckets()).sorted()
    rows = rows[(rows.user == user) & (rows.at // DAY < AT // DAY)]
    past = of.recommender.requests(np.array([user, NOBODY]), np.array([AT, AT])).past
    latest, age = past.latest(len(rows) + 3), AT // DAY - (rows.at // DAY).astype(int)
    assert len(rows) > 3
    assert latest.age[0].tolist() == [0, 0, 0, *age.tolist()]
    shown = zip(*(column[0, 3:].tolist() for column in latest), strict=True)
    assert sorted(shown) == sorted(
        zip(rows.post.tolist(), age.tolist(), rows.liked.tolist(), strict=True)
    )
    assert (latest.post[1] == -1).all()
    assert past.latest(2).post[0].tolist() == latest.post[0, -2:].tolist()


def test_a_ranker_comes_back_without_its_module(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = ranked()
    monkeypatch.chdir(tmp_path)  # where there is no `plugins`
    for name in [n for n in sys.modules if n.startswith("plugin_again")]:
        monkeypatch.delitem(sys.modules, name)
    loaded = load_ranker(artifact)
    assert type(loaded) is not type(of.ranker)  # of the source that lies in the artifact
    for made in (loaded, pickle.loads(pickle.dumps(loaded))):
        again = replace(of, ranker=made)
        assert again.probability().tobytes() == of.probability().tobytes()
        assert made.first_stage == of.ranker.first_stage


def test_the_artifact_names_its_ranker_and_answers_by_it(artifact: Path) -> None:
    loaded = Artifact.load(artifact)
    assert loaded.manifest["ranker"] == OWN == loaded.recommender.ranker.name
    assert "ranker_source.py" in loaded.manifest["files"]
    ours, own = loaded.recommender.rank(3, AT, 5), ranked().recommender.rank(3, AT, 5)
    assert ours.probability.tobytes() == own.probability.tobytes()
    with Prover() as prover:
        prover.prove(artifact)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arrays": ["bonus", "other"]}, r"ranker_other.npy' is missing"),
        (
            {"arrays": ["../evil"]},
            r"ranker.json' cannot be read \(ValueError: its arrays are named",
        ),
        ({"arrays": []}, r"ranker_bonus.npy' is no file of an artifact"),
        ({"ranker": "catboost"}, r"ranker_source.py' is no file of an artifact"),
        ({"ranker": "again:np"}, r"holds no class 'np'"),
        ({"scale": None}, r"ranker.json' cannot be read \(TypeError"),
        ({"scale": 2.0}, r"was stored at export"),
    ],
)
def test_a_ranker_file_that_says_anything_else_is_refused(
    artifact: Path, changes: dict[str, object], words: str
) -> None:
    path = artifact / "ranker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"]["ranker.json"] = sha256_of(path)
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=words):
        Artifact.load(artifact)


def test_a_library_that_is_not_there_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = artifact / "ranker_source.py"
    path.write_text(f"import not_installed_here\n{path.read_text()}")
    with pytest.raises(ArtifactError, match="No module named 'not_installed_here'"):
        load_ranker(artifact)


def test_reasons_add_up_to_the_log_odds(artifact: Path) -> None:
    recommender = ranked().recommender
    listed = recommender.rank(3, AT, 5)
    reasons = explain(recommender, 3, AT, listed)
    total = reasons.base + reasons.effects.sum(1)
    np.testing.assert_allclose(total, logit(listed.probability.astype(np.float64)), atol=1e-6)
    assert reasons.names[-1] == "rest"
    frame = Notebook(Artifact.load(artifact)).explain(recommender.catalogue.user_ids[3])
    assert set(frame["feature"]) == set(reasons.names)


def test_a_service_answers_and_explains_by_it(artifact: Path, tmp_path: Path) -> None:
    recommender = ranked().recommender
    asked = {"id": int(recommender.catalogue.user_ids[3]), "time": "2021-10-21T12:00:00"}
    with TestClient(create_app(Settings(artifact=artifact, state=tmp_path / "state"))) as client:
        found = client.get("/post/recommendations/explain", params={**asked, "limit": 5}).json()
        (version,) = client.get("/version").json()["artifacts"]
    assert version["manifest"]["ranker"] == OWN
    at = recommender.meta.seconds(datetime.fromisoformat(asked["time"]))
    listed = recommender.rank(3, at, 5)
    posts = found["recommendations"]
    ids = recommender.catalogue.post_ids[listed.post].tolist()
    assert [post["id"] for post in posts] == ids
    for post in posts:
        total = found["base"] + sum(r["effect"] for r in post["reasons"]) + post["others"]
        assert total == pytest.approx(logit(post["probability"]), abs=1e-5)


def test_validation_replays_it(tmp_path: Path) -> None:
    of = ranked()
    features, _ = saved(of, tmp_path)
    fold = Calendar.of(of.log.meta, None, None).folds(1)[0]
    with workers(1):
        found = run_fold(of.log, features, of.rows, fold, of.params)
        usual = run_fold(of.log, features, of.rows, fold, tasteful().params)
    assert not np.array_equal(found.replayed.top[0], usual.replayed.top[0])
    assert [n for n, _, _ in found.curve] == [0, 1]


def test_another_first_stage_changes_its_probabilities() -> None:
    of = ranked()
    muted = muted_ranker(of.ranker, list(of.ranker.first_stage.columns))
    assert not np.array_equal(replace(of, ranker=muted).probability(), of.probability())
    assert isinstance(muted, LearnedRanker)


def test_the_checker_s_files_say_why_they_are_not_there(artifact: Path, tmp_path: Path) -> None:
    loaded = Artifact.load(artifact)
    write_bundle(tmp_path / "checker", loaded, CheckerParams(history_days=None))
    (only,) = (tmp_path / "checker").iterdir()
    assert "the ranker is 'again:LikedAgain'" in only.read_text()
    with pytest.raises(ArtifactError, match="has XGBoost alone"):
        write_model(tmp_path / "model", loaded, CheckerParams(history_days=None))


def test_all_candidates_or_some_have_the_same_scores() -> None:
    few = recommender_of(ranked(), candidates=20)
    listed = few.rank(3, AT, 5)
    assert listed.n_ranked == 20
    assert few.score(3, AT, listed.post).tobytes() == listed.probability.tobytes()
