"""Own baselines: replayed beside ours, on what was before each request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import ParamsError
from feedrank.log.calendar import Calendar
from feedrank.params import ValidateParams
from feedrank.validation.fold import run_fold
from feedrank.validation.methods import method_names
from feedrank.validation.own_baselines import own_baselines
from tests.support.simulated_logs import DAY, DEFAULTS, saved, simulated, workers

OWN = replace(DEFAULTS.validate, baselines=["usual", "again:Again"])


def test_an_own_baseline_answers_the_same_requests(tmp_path: Path) -> None:
    learned = simulated()
    validate = replace(learned.params.validate, baselines=OWN.baselines)
    params = replace(learned.params, validate=validate)
    features, _ = saved(learned, tmp_path)
    fold = Calendar.of(learned.log.meta, None, None).folds(1)[0]
    with workers(1):
        found = run_fold(learned.log, features, learned.rows, fold, params)
    assert found.names == (*method_names(learned.params.validate), "again")
    assert not np.array_equal(found.replayed.top[-1], found.replayed.top[-2])


@pytest.mark.parametrize("as_of", [None, 9 * DAY])
def test_an_own_baseline_sees_what_was_before_the_step(as_of: int | None) -> None:
    learned, user, at = simulated(), 4, 18 * DAY + 30_000
    own = own_baselines(OWN.baselines)["again"](learned.store, None, as_of)
    known_until = (as_of or at) // DAY
    rows = [b[b.at // DAY < known_until] for b in learned.log.buckets()]
    n = learned.log.meta.n_posts
    shown = sum(np.bincount(b.post, minlength=n) for b in rows)
    np.testing.assert_array_equal(own.counts(at).shown, shown)
    assert len(own.history(user, at)[0]) == sum(int((b.user == user).sum()) for b in rows)
    assert own.state(at).step == known_until


@pytest.mark.parametrize(
    ("word", "words"),
    [("gone:Again", "there is no"), ("again:Gone", "no class 'Gone'"), ("again:np", "no class")],
)
def test_a_baseline_that_is_not_there_is_named(word: str, words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        own_baselines([word])


def test_no_own_baseline_takes_another_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path("plugins/baselines/again.py").read_text()
    (tmp_path / "plugins/baselines").mkdir(parents=True)
    (tmp_path / "plugins/baselines/classic.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="\\['classic'\\] have names of others"):
        method_names(replace(OWN, baselines=["usual", "classic:Again"]))


@pytest.mark.parametrize("word", ["some", "again:", ":Again", "a/b:C", "../again:Again"])
def test_other_words_are_refused_as_parameters(word: str) -> None:
    with pytest.raises(ValueError, match="write usual, all, or module:name"):
        replace(OWN, baselines=[word])


def test_one_word_stands_for_a_list_of_it() -> None:
    assert isinstance(OWN, ValidateParams)
    assert replace(OWN, baselines="all").baselines == ["all"]
