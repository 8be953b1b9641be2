"""Own baselines: replayed beside ours, on what was before each request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.errors import ParamsError, SchemaError
from feedrank.log.calendar import Calendar
from feedrank.params import ValidateParams
from feedrank.validation.fold import run_fold
from feedrank.validation.methods import method_names
from feedrank.validation.own_baselines import OwnBaseline, own_baselines
from tests.support.request_tables import list_of
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
    assert found.names == (*method_names(learned.params.validate), "again:Again")
    assert not np.array_equal(found.replayed.top[-1], found.replayed.top[-2])


@pytest.mark.parametrize("as_of", [None, 9 * DAY])
def test_an_own_baseline_sees_what_was_before_the_step(as_of: int | None) -> None:
    learned, user, at = simulated(), 4, 18 * DAY + 30_000
    own = own_baselines(OWN.baselines)["again:Again"](learned.store, None, as_of)
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


BEGIN = """import numpy as np
from feedrank.validation.own_baselines import OwnBaseline
class Own(OwnBaseline):
"""


def _own(source: str, folder: Path) -> type[OwnBaseline]:
    """The class `Own`, from the source of its body."""
    (folder / "own.py").write_text(f"{BEGIN}{source}\n")
    return own_baselines(["own:Own"], folder)["own:Own"]


def test_two_baselines_of_one_module_are_two(tmp_path: Path) -> None:
    method = "    def score(self, user, at, post):\n        return"
    source = f"{BEGIN}{method} post\n{BEGIN.replace('Own(', 'Other(')}{method} -post\n"
    (tmp_path / "own.py").write_text(source)
    found = own_baselines(["own:Own", "usual", "own:Other"], tmp_path)
    posts, store = np.arange(250), simulated().store
    lists = {n: list_of(kind(store, None, None), 3, DAY, 3, posts) for n, kind in found.items()}
    assert lists["own:Own"].post.tolist() == [249, 248, 247]
    assert lists["own:Other"].post.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (
            "self.nope",
            r"'score' of the baseline 'own:Own' fails \(AttributeError: .*\) in line 5 of",
        ),
        ("post[1:]", r"the baseline 'own:Own' scores 250 rows by an array of shape \(249,\)"),
        ("None", r"by an array of shape \(\)"),
        ("np.where(post < 7, np.nan, post)", "scores 7 of 250 rows by a number that is not finite"),
        ("['a' for _ in post]", "'score' of the baseline 'own:Own' fails .ValueError"),
    ],
)
def test_what_is_no_score_is_refused(score: str, words: str, tmp_path: Path) -> None:
    own = _own(f"    def score(self, user, at, post):\n        return {score}", tmp_path)
    with pytest.raises(SchemaError, match=words):
        list_of(own(simulated().store, None, None), 3, DAY, 3, np.arange(250))


@pytest.mark.parametrize(
    ("learned", "words"),
    [
        ("lambda post: 1", "returns function, which cannot be copied to other processes .*lambda"),
        ("Own", "returns ABCMeta, which .* .'Own' is of the own module.. Return plain values"),
        ("rows.nope", r"'fit' of the baseline 'own:Own' fails \(AttributeError: .* in line 6 of"),
    ],
)
def test_what_no_other_process_can_have_is_refused(
    learned: str, words: str, tmp_path: Path
) -> None:
    source = f"    score = None\n    @classmethod\n    def fit(cls, rows): return {learned}"
    own = _own(source, tmp_path)
    with pytest.raises(SchemaError, match=words):
        own.learned_from(simulated().rows)


def test_a_baseline_without_a_score_is_refused_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"class 'Own' of 'own.py' lacks \['score'\]"):
        _own("    pass", tmp_path)


def test_a_module_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"plugin 'own' fails \(NameError: .*\) in line 4 of"):
        _own("    nope", tmp_path)


@pytest.mark.parametrize("word", ["some", "again:", ":Again", "a/b:C", "../again:Again"])
def test_other_words_are_refused_as_parameters(word: str) -> None:
    with pytest.raises(ValueError, match="write usual, all, or module:name"):
        replace(OWN, baselines=[word])


@pytest.mark.parametrize("words", [["usual", "usual"], ["again:Again", "usual", "again:Again"]])
def test_a_word_stands_once(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"'(usual|again:Again)' stands there twice"):
        replace(OWN, baselines=words)


def test_one_word_stands_for_a_list_of_it() -> None:
    assert isinstance(OWN, ValidateParams)
    assert replace(OWN, baselines="all").baselines == ["all"]
