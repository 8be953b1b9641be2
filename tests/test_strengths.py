from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feedrank.encodings import Strengths
from feedrank.history import History
from feedrank.priors import STRONGEST, WEAKEST
from feedrank.strengths import fit_strengths
from tests.logs import DAY, Learned, random_rows, simulated, write_log
from tests.logs import learned as learn_from
from tests.logs import params as usual_params


@pytest.fixture(scope="module")
def learned() -> Learned:
    return simulated()


def _fit(learned: Learned, step: int, history: History | None = None) -> Strengths:
    knowledge = learned.knowledge
    usual = Strengths.usual(len(knowledge.columns))
    encodings = replace(knowledge.encodings, strengths=usual)
    codes = knowledge.catalogue.codes
    return fit_strengths(encodings, knowledge.shared, history or knowledge.history, codes, step)


def test_what_is_kept_was_fitted_on_the_warm_up_alone(learned: Learned) -> None:
    warmup = learned.params.features.warmup_days or 0
    assert learned.knowledge.encodings.strengths == _fit(learned, warmup)
    assert learned.knowledge.encodings.strengths != _fit(learned, warmup + 5)


def test_nothing_from_the_step_on_is_looked_at(learned: Learned) -> None:
    history = learned.knowledge.history
    liked = np.unpackbits(history.liked)[: len(history.post)]
    late = np.asarray(history.step) >= 7
    changed = replace(history, liked=np.packbits(np.where(late, 1 - liked, liked)))
    assert _fit(learned, 7, changed) == _fit(learned, 7)
    assert _fit(learned, 9, changed) != _fit(learned, 9)


def test_no_evidence_gives_the_usual_strengths(learned: Learned) -> None:
    found = _fit(learned, 0)
    usual = Strengths.usual(len(learned.knowledge.columns))
    for name, value in vars(usual).items():
        assert getattr(found, name) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("step", [1, 7, 29])
def test_every_strength_is_within_its_bounds(learned: Learned, step: int) -> None:
    found = _fit(learned, step)
    for value in (*[v for n, v in vars(found).items() if n != "columns"], *found.columns):
        assert WEAKEST <= value <= STRONGEST


def test_users_who_differ_are_shrunk_less_than_users_who_do_not(
    learned: Learned, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = random_rows(20_000, 100, 40, 10)
    chance = np.where(rows.user % 2, 0.35, 0.05)
    unlike = (np.random.default_rng(1).random(len(rows)) < chance).astype(np.uint8)
    found = []
    for some in (rows, replace(rows, liked=unlike)):
        directory = tmp_path_factory.mktemp("log")
        users, posts = learned.log.users[["user_id"]][:100], learned.log.posts[:40]
        log = write_log(directory, users.reset_index(drop=True), posts, some)
        assert log.meta.last_at == 10 * DAY - 1
        knowledge, _ = learn_from(log, usual_params())
        found.append(knowledge.encodings.strengths.user)
    assert found[0] > 5 * found[1]
