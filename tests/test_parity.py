"""A training row, a replayed request and a served answer are one computation, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.features.spec import OF_WORDS, features_of
from feedrank.log.calendar import Calendar
from feedrank.state.feature_store import FeatureStore
from feedrank.validation.replay.replay import replay_requests
from tests.support.request_tables import requests_of
from tests.support.simulated_logs import (
    DAY,
    Learned,
    divided,
    named,
    plugged,
    ranked,
    saved,
    simulated,
    tasteful,
)

STEPS = ["1h", "12h", "1d", "7d"]
OTHERS = {
    "tastes": tasteful,
    "names": named,
    "sides": divided,
    "plugin": plugged,
    "own ranker": ranked,
}
KINDS = [(step, kind) for step in STEPS for kind in ("with profiles", "no profiles", *OTHERS)]
KINDS = [kind for kind in KINDS if kind[0] != "12h"] + [("12h", "with profiles")]


@pytest.fixture(params=KINDS, ids="-".join)
def learned(request: pytest.FixtureRequest) -> Learned:
    step, kind = request.param
    if kind in OTHERS:
        return OTHERS[kind](step)
    return simulated(step, profiles=kind == "with profiles")


def test_some_logs_have_factors_from_some_refit_on() -> None:
    assert [tasteful(step).factors[-1] > 0 for step in ("1h", "1d", "7d")] == [True] * 3
    assert len(set(tasteful().factors)) > 1  # refits of different widths


def test_one_log_has_taste_words_from_some_refit_on() -> None:
    learned = named()
    found = [len(refit.words) for refit in learned.store.fitted.refits]
    assert found[0] == 0 < found[-1]
    names = [feature.name for feature in features_of(learned.store.fitted)]
    column, first_stage = names.index(OF_WORDS.name), learned.ranker.first_stage
    assert dict(zip(first_stage.columns, first_stage.weights, strict=True))[column] > 0.3
    rows = learned.rows
    late = rows.matrix[rows.at >= learned.store.fitted.refits[-1].first_step * DAY, column]
    assert late.std() > 0.1


@pytest.mark.parametrize("step", ["1h", "1d", "7d"])
def test_one_log_has_segments_from_some_refit_on(step: str) -> None:
    fitted = divided(step).store.fitted
    assert fitted.column_names[fitted.segment_column] == "side"
    sizes = [len(refit.clusters.rate) for refit in fitted.refits]
    assert sizes[0] == 1
    assert sizes[-1] == 6  # of two sides, of none, and halves of each by age
    firsts = [refit.first_step for refit in fitted.refits]
    assert fitted.segments_since == firsts[sizes.index(6)]


def _equal_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()


def _some_rows(learned: Learned, n: int = 400) -> np.ndarray:
    return np.random.default_rng(1).choice(len(learned.rows), n, replace=False)


def test_a_training_row_is_what_the_service_computes(learned: Learned) -> None:
    recommender, rows = learned.recommender, learned.rows
    for i in _some_rows(learned):
        served = recommender.matrix(int(rows.user[i]), int(rows.at[i]), rows.post[i : i + 1])
        assert _equal_bits(served[0], rows.matrix[i])


def test_a_training_row_s_probability_is_the_service_s(learned: Learned) -> None:
    recommender, rows = learned.recommender, learned.rows
    in_one_batch = learned.probability()
    for i in _some_rows(learned, 200):
        served = recommender.score(int(rows.user[i]), int(rows.at[i]), rows.post[i : i + 1])
        assert _equal_bits(served, in_one_batch[i : i + 1])


def test_a_pair_has_the_same_bits_alone_and_in_the_whole_catalogue(learned: Learned) -> None:
    recommender, at = learned.recommender, 21 * DAY + 40_000
    posts = np.arange(len(learned.log.posts))
    for user in (0, 1, 250):
        matrix = recommender.matrix(user, at, posts)
        probability = recommender.score(user, at, posts)
        for post in range(0, len(posts), 7):
            alone = np.array([post])
            assert _equal_bits(recommender.matrix(user, at, alone)[0], matrix[post])
            assert _equal_bits(recommender.score(user, at, alone), probability[post : post + 1])


def test_a_training_row_does_not_depend_on_which_others_are_drawn() -> None:
    learned = simulated()
    few = np.sort(_some_rows(learned, 50))
    together = learned.ranker.probability(learned.rows.matrix[few])
    assert _equal_bits(together, learned.ranker.probability(learned.rows.matrix)[few])


def test_the_replay_asks_what_was_trained_on(learned: Learned) -> None:
    log, rows = learned.log, learned.rows
    fold = Calendar.of(log.meta, None, None).folds(1)[0]
    step_seconds = learned.store.fitted.step_seconds
    requests = requests_of(log, fold, step_seconds, n=60, seed=3)
    ours, every = learned.recommender, np.ones(log.meta.n_posts, np.int64)
    replayed = replay_requests(
        [ours], ours, ours.open_posts, requests, 20, 5, lambda step: every, lambda step: every
    )
    trained = learned.probability()
    by_row = {
        (user, at, post): p
        for user, at, post, p in zip(
            rows.user.tolist(), rows.at.tolist(), rows.post.tolist(), trained, strict=True
        )
    }
    n_compared = 0
    for i in range(len(requests)):
        of = replayed.shown_request == i
        for post, p in zip(
            requests.shown(i)[0].tolist(), replayed.shown_probability[of], strict=True
        ):
            # Only the row at the very moment of the request is in the same hour.
            key = (int(requests.user[i]), int(requests.at[i]), post)
            if key in by_row:
                assert np.float32(p) == by_row[key]
                n_compared += 1
    assert n_compared >= len(requests)


def test_a_list_holds_the_scores_of_its_posts(learned: Learned) -> None:
    recommender = learned.recommender
    for user, at in ((3, 8 * DAY), (77, 20 * DAY + 50_000), (299, 40 * DAY)):
        ranked = recommender.rank(user, at, 10)
        assert _equal_bits(recommender.score(user, at, ranked.post), ranked.probability)


@pytest.mark.parametrize("learned_of", [simulated, tasteful, plugged, ranked])
def test_a_loaded_artifact_answers_as_what_it_was_made_of(
    learned_of: Callable[[], Learned], tmp_path: Path
) -> None:
    learned = learned_of()
    features, ranker = saved(learned, tmp_path)
    export(tmp_path / "artifact", features, ranker, learned.params.export, {}, seed=1, k=5)
    loaded = Artifact.load(tmp_path / "artifact").recommender
    posts = np.arange(len(learned.log.posts))
    for user, at in ((0, -5), (4, 9 * DAY + 4), (200, 29 * DAY), (299, 99 * DAY)):
        assert _equal_bits(
            loaded.matrix(user, at, posts), learned.recommender.matrix(user, at, posts)
        )
        assert _equal_bits(
            loaded.score(user, at, posts), learned.recommender.score(user, at, posts)
        )
        assert loaded.rank(user, at, 5).post.tolist() == (
            learned.recommender.rank(user, at, 5).post.tolist()
        )


@pytest.mark.parametrize("learned_of", [simulated, tasteful, plugged])
def test_feature_store_comes_back_as_it_was_written(
    learned_of: Callable[[], Learned], tmp_path: Path
) -> None:
    store = learned_of().store
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    store.save(tmp_path / "a")
    read = FeatureStore.load(tmp_path / "a")
    read.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert read.columns == store.columns
    assert [e.strengths for e in read.fitted.refits] == [e.strengths for e in store.fitted.refits]
    assert [read.text[i] for i in range(5)] == [store.text[i] for i in range(5)]
