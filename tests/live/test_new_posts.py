"""A post that came after the fit is judged by its text, as a known post of this text was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from feedrank.learning.profile_coding import encode
from feedrank.learning.texts.design import text_design
from feedrank.live.events import NewPost
from feedrank.live.live_store import LiveStore
from feedrank.live.profile_codes import code_of
from feedrank.log.embeddings import EMBEDDING
from feedrank.state.profiles import ProfileColumn
from tests.live.followed import followed
from tests.support.simulated_logs import learned as fit
from tests.support.simulated_logs import (
    named,
    params,
    pictured,
    posts_table,
    random_rows,
    simulated,
    users_table,
    worded,
    write_log,
)

WORDS = st.lists(st.sampled_from(["bank", "Goal", "a", "team's", "über", "42"]), max_size=9)


@given(st.lists(WORDS, min_size=3, max_size=6), st.integers(0, 1))
def test_a_design_is_that_of_the_fit(texts: list[list[str]], topic: int) -> None:
    texts_of = [*map(" ".join, texts), "bank goal", "goal bank bank"]
    codes = np.array([0, 1] * 4)[: len(texts_of)]
    vectors = np.random.default_rng(0).normal(size=(len(codes), 3)).astype(np.float32)
    vectors[1] = np.nan
    for embeddings in (vectors, vectors[:, :0]):
        design, vocabulary = text_design(texts_of, codes, 100, embeddings)
        for row, text in enumerate(texts_of):
            vector = None if row == 1 else embeddings[row]
            found = vocabulary.times(text, int(codes[row]), vector, np.eye(design.shape[1]))
            np.testing.assert_allclose(found, design.toarray()[row], rtol=0, atol=1e-14)
    assert TfidfVectorizer().token_pattern == r"(?u)\b\w\w+\b"  # which `WORD` is


def test_a_new_post_has_the_prior_of_a_known_post_that_nobody_was_shown(tmp_path) -> None:
    posts = posts_table(60)
    posts.loc[59, "text"] = "words on topic 1 topic words"
    rows = random_rows(9_000, 80, 59, 20)
    log = write_log(tmp_path, users_table(80, age=np.arange(80) % 4), posts, rows)
    store, _ = fit(log, params(features={"warmup_days": 7}))
    live = LiveStore(store)
    live.apply(posts=[NewPost(1, 9_999, posts["text"][59], posts["topic"][59])])
    new = live.store().fitted
    clusters, factors = new.refits[-1].clusters, new.refits[-1].factors
    np.testing.assert_allclose(clusters.log_gate[60], clusters.log_gate[59], atol=1e-12)
    assert clusters.cluster[60] == clusters.cluster[59]
    np.testing.assert_allclose(factors.rate[:, 60], factors.rate[:, 59], atol=0.02)
    assert new.topic[60] == new.topic[59]


def test_texts_of_posts_tell_the_factors_of_tastes() -> None:
    refit = followed("1d", "tastes").learned.store.fitted.refits[-1]
    assert refit.factors.n_factors > 0
    assert refit.factors.of_text.shape == (len(refit.clusters.gate), refit.factors.n_factors)


def test_a_new_post_has_the_taste_words_of_its_text() -> None:
    learned = named()
    live, first = LiveStore(learned.store), learned.store.meta.n_posts
    texts = [learned.log.posts["text"][7], "nothing known", "name3 by name3 and name5"]
    live.apply(posts=[NewPost(i, 10**6 + i, text, "topic 0") for i, text in enumerate(texts)])
    *earlier, last = [refit.words for refit in live.store().fitted.refits]
    np.testing.assert_array_equal(last.of_post[:, first], last.of_post[:, 7])
    none = len(last)
    assert (last.of_post[:, first + 1] == none).all()
    assert (last.of_post[:, first + 2] < none).sum() == 2
    vocabulary = live.store().fitted.vocabulary
    known = [vocabulary.words[c - vocabulary.n_topics - 1] for c in last.column.tolist()]
    assert {known[n] for n in last.of_post[:2, first + 2]} == {"name3", "name5"}
    for words in earlier:
        assert (words.of_post[:, first:] == len(words)).all()


def test_a_new_post_with_an_embedding_has_the_prior_of_a_known_one() -> None:
    learned = pictured()
    posts, fitted = learned.log.posts, learned.store.fitted
    (near, far), unlike = posts[EMBEDDING][[3, 7]], posts.index[posts[EMBEDDING].isna()]
    live = LiveStore(learned.store)
    given = [near, far, None, near[:5]]
    live.apply(posts=[NewPost(i, 10**6 + i, "", "topic 0", v) for i, v in enumerate(given)])
    found = live.store().fitted.refits[-1]
    gates, factors = found.clusters.log_gate[-4:], found.factors.post[-4:]
    assert fitted.vocabulary.n_axes == 8
    assert np.abs(gates[0] - gates[1]).max() > 0.1
    assert np.abs(factors[0] - found.factors.post[3]).max() < np.abs(factors[1] - factors[0]).max()
    # Without one, or with one of another width, it is a post of its words alone.
    assert len(unlike) == 25
    np.testing.assert_array_equal(gates[2], gates[3])


def test_a_new_post_has_the_quality_that_its_words_tell() -> None:
    store = worded().store
    live = LiveStore(store)
    texts = [f"words of kind{kind}" for kind in range(8)]
    live.apply(posts=[NewPost(i, 10**6 + i, text, "topic 0") for i, text in enumerate(texts)])
    known, found = store.fitted.refits[-1].clusters, live.store().fitted.refits[-1]
    assert known.tells_quality
    told = found.clusters.text_quality
    assert len(told) == 248
    np.testing.assert_allclose(told[240:], known.text_quality[:8], atol=1e-12)
    assert told[247] > 3 * told[240]
    np.testing.assert_allclose(found.factors.rate[0, 240:], known.rate[0, 0] * told[240:], 1e-3)
    earlier = live.store().fitted.refits[0].clusters.text_quality
    np.testing.assert_array_equal(earlier[240:], 1)
    state = live.store().states.as_of(live.store().shared.n_steps)
    assert (np.diff(state.post_logit[0, 240:]) > 0).all()  # though nobody has been shown them


def test_an_embedding_of_another_width_is_said(caplog: pytest.LogCaptureFixture) -> None:
    LiveStore(pictured().store).apply(posts=[NewPost(1, 10**6, "", "", np.zeros(3))])
    assert "such as [1000000], have no embedding of 8 finite numbers" in caplog.text
    caplog.clear()
    LiveStore(simulated().store).apply(posts=[NewPost(1, 10**6, "", "", np.zeros(3))])
    assert caplog.text == ""


def test_topics_never_seen_share_one_code() -> None:
    store = followed("1d").learned.store
    live, n_topics = LiveStore(store), store.fitted.n_topics
    posts = [NewPost(i, 10**6 + i, "", topic) for i, topic in enumerate(["new", "newer", "new"])]
    live.apply(posts=posts)
    assert live.store().fitted.topic[-3:].tolist() == [n_topics] * 3
    assert live.store().topic[live.store().catalogue.post(10**6 + 1)] == "newer"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, 0),
        (float("nan"), 0),
        (5, 1),
        (10, 1),
        ("10.5", 2),
        (99.0, 3),
        ("old", 0),
        (10**400, 3),
    ],
)
def test_a_number_has_the_code_of_its_band(value: object, code: int) -> None:
    assert code_of(ProfileColumn("age", edges=(10.0, 20.0)), value) == code


@pytest.mark.parametrize(
    ("value", "code"), [("b", 2), (3, 3), (3.0, 3), ("3.0", 3), ("z", 4), (None, 0)]
)
def test_a_category_has_its_code_and_others_share_one(value: object, code: int) -> None:
    column = ProfileColumn("city", categories=("a", "b", "3.0", "(other)"))
    assert code_of(column, value) == code
    assert code_of(replace(column, categories=("a",)), "z") == 0


@pytest.mark.parametrize("value", ["Nan", "NaN", "inf", "Infinity", "-inf", "b", "z", np.inf])
@pytest.mark.parametrize("other", [(), ("(other)",)])
def test_text_that_python_reads_as_no_finite_number_is_a_category_as_in_a_build(
    value: object, other: tuple[str, ...]
) -> None:
    column = ProfileColumn("name", categories=("Nan", "b", "inf", *other))
    (expected,) = encode(column, pd.Series([value])).tolist()
    assert code_of(column, value) == expected
