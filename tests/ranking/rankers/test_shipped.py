"""Shipped rankers beside XGBoost: LightGBM, and self-attention over a user's impressions."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.export import export
from feedrank.ranking.explanations import explain
from feedrank.ranking.rankers import sequence
from feedrank.ranking.rankers.learned import RankerRows
from feedrank.ranking.rankers.ranker import Asked
from feedrank.ranking.rankers.sequence import SequenceRanker
from feedrank.state.past import Past
from feedrank.stats.classification import log_loss
from tests.support.simulated_logs import DAY, Learned, fitted, ranked, saved, tasteful

LIBRARIES = {"lightgbm_binary": "lightgbm", "lightgbm_rank": "lightgbm", "sequence": "torch"}
AT = 20 * DAY + 5_000


@pytest.fixture(params=LIBRARIES)
def learned(request: pytest.FixtureRequest) -> Learned:
    library = LIBRARIES[request.param]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"needs {library}")
    return ranked("1d", request.param)


def test_it_knows_no_less_than_the_first_stage(learned: Learned) -> None:
    liked, found = learned.rows.liked, learned.probability()
    first = 1 / (1 + np.exp(-learned.ranker.first_stage(learned.rows.matrix).astype(float)))
    assert log_loss(liked, found) < log_loss(liked, first) + 1e-6  # of rounding
    assert found.mean() == pytest.approx(liked.mean(), rel=0.1)


def test_a_row_has_its_score_alone_and_among_others(learned: Learned) -> None:
    rows, together = learned.rows, learned.probability()
    for i in np.random.default_rng(1).choice(len(rows), 60, replace=False):
        served = learned.recommender.score(int(rows.user[i]), int(rows.at[i]), rows.post[[i]])
        assert served.tobytes() == together[[i]].tobytes()


def test_many_lists_are_those_of_single_requests(learned: Learned) -> None:
    recommender, users = learned.recommender, np.arange(40)
    for user, found in zip(users, recommender.rank_many(users, np.full(40, AT), 5), strict=True):
        alone = recommender.rank(int(user), AT, 5)
        assert found.post.tolist() == alone.post.tolist()
        assert found.probability.tobytes() == alone.probability.tobytes()


def test_fitting_twice_gives_the_same_arrays(learned: Learned) -> None:
    again = fitted(learned.store, learned.rows, learned.params)
    assert isinstance(again, type(learned.ranker))
    for name, array in learned.ranker.learned.items():
        assert again.learned[name].tobytes() == array.tobytes(), name


def test_its_artifact_answers_as_what_it_was_made_of(learned: Learned, tmp_path: Path) -> None:
    export(tmp_path / "a", *saved(learned, tmp_path), learned.params.export, {}, seed=1, k=5)
    loaded = Artifact.load(tmp_path / "a")
    assert loaded.manifest["ranker"] == learned.ranker.name
    assert loaded.manifest["libraries"].keys() >= set(learned.ranker.libraries)
    posts = np.arange(100)
    for user in (0, 3, 299):
        served = loaded.recommender.score(user, AT, posts)
        assert served.tobytes() == learned.recommender.score(user, AT, posts).tobytes()


def test_its_reasons_add_up(learned: Learned) -> None:
    listed = learned.recommender.rank(3, AT, 5)
    reasons = explain(learned.recommender, 3, AT, listed)
    total = reasons.base + reasons.effects.sum(1)
    np.testing.assert_allclose(total, logit(listed.probability.astype(float)), atol=1e-6)
    if learned.ranker.name == "lightgbm_binary":
        assert np.abs(reasons.effects[:, -1]).max() < 1e-5  # trees tell all by feature


def test_the_sequence_is_scored_by_the_code_that_learned_it() -> None:
    torch = pytest.importorskip("torch")
    of = ranked("1d", "sequence")
    rows = of.rows[:50]
    asked = Asked.of_rows(rows, of.store)
    past = asked.past.latest(sequence.WIDTH)
    mine = sequence._scores(np, of.ranker.learned, past, asked.request, asked.post)
    weights = {name: torch.from_numpy(a) for name, a in of.ranker.learned.items()}
    tensors = past._make(torch.from_numpy(column) for column in past)
    theirs = sequence._scores(
        torch, weights, tensors, torch.from_numpy(asked.request), torch.from_numpy(asked.post)
    )
    np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-5)


def _untrained() -> SequenceRanker:
    """A sequence ranker of random weights, which needs no PyTorch."""
    of = tasteful()
    weights = sequence._start(len(of.log.posts) - 1, seed=3)
    return SequenceRanker(weights, of.ranker.first_stage, of.ranker.feature_names)


def test_a_sequence_depends_on_what_the_user_saw_and_liked() -> None:
    of = replace(tasteful(), ranker=_untrained())
    rows = of.rows[:200]
    asked = Asked.of_rows(rows, of.store)
    scores = [
        of.ranker.score(RankerRows(rows.matrix, np.zeros(len(rows), np.float32), *one))
        for one in (asked, asked._replace(past=_flipped(asked)))
    ]
    tells = asked.past.latest(1).post[:, 0][asked.request] >= 0
    tells &= asked.post < len(of.log.posts) - 1  # the last post is one that the fit did not know
    assert tells.any()
    assert ((scores[0] != scores[1]) == tells).all()


def _flipped(asked: Asked) -> object:
    def before(user: int, step: int) -> tuple[np.ndarray, ...]:
        post, shown, liked = asked.past.before(user, step)
        return post, shown, 1 - liked

    return replace(asked.past, before=before)


def test_a_post_that_came_after_the_fit_is_ranked_by_the_first_stage() -> None:
    ranker, last = _untrained(), len(tasteful().log.posts) - 1
    past = Asked.of_rows(tasteful().rows[:1], tasteful().store).past
    request, at = np.zeros(3, np.int64), np.zeros(3, np.int64)
    posts, log_odds = np.array([last, last + 5, 0]), np.full(3, -1.5, np.float32)
    past = replace(
        past, before=lambda u, s: (np.array([0, last + 9]), np.zeros(2, int), np.ones(2))
    )
    past = replace(past, step=past.step * 0 + 3)
    found = ranker.score(RankerRows(np.zeros((3, 1)), log_odds, posts, at, request, past))
    assert found[:2].tolist() == [-1.5, -1.5]
    assert found[2] != -1.5


def _turns(n: int, seed: int) -> RankerRows:
    """Requests whose posts are liked if they are of the half of the last one that was shown."""
    rng = np.random.default_rng(seed)
    shown, post = rng.integers(0, 40, (n, 6)), rng.integers(0, 40, 2 * n)
    request = np.repeat(np.arange(n), 2)
    is_same = post // 20 == shown[request, -1] // 20
    liked = (rng.random(2 * n) < np.where(is_same, 0.7, 0.3)).astype(np.uint8)
    past = Past(lambda u, s: (shown[u], np.arange(6), np.ones(6)), np.arange(n), np.full(n, 9))
    nothing = np.zeros(2 * n, np.float32)
    return RankerRows(nothing[:, None], nothing, post, nothing, request, past, liked)


def test_a_sequence_learns_what_no_count_tells() -> None:
    pytest.importorskip("torch")
    train = tasteful().params.train
    early = SequenceRanker.fit(_turns(3000, 1), _turns(500, 2), train, None)
    ranker = SequenceRanker(early, tasteful().ranker.first_stage, [])
    fresh = _turns(1000, 3)
    found = 1 / (1 + np.exp(-ranker.score(fresh)))
    assert int(early["n_passes"])
    assert log_loss(fresh.liked, found) < 0.63  # .611 with the truth, .693 without the past


def test_a_sequence_of_luck_is_the_first_stage() -> None:
    pytest.importorskip("torch")
    rng, train = np.random.default_rng(5), tasteful().params.train
    turns = _turns(800, 1)
    rows, late = (replace(turns, liked=rng.permutation(turns.liked)) for _ in range(2))
    early = SequenceRanker.fit(rows, late, train, None)
    assert int(early["n_passes"]) == 0
    assert not SequenceRanker(early, tasteful().ranker.first_stage, []).score(late).any()
