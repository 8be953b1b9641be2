"""Reasons add up to the probability, exactly, and can be read."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from feedrank.ranking.explanations import Reasons, explain, words_for
from tests.support.small_artifact import MOMENT, PATH

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.mark.parametrize("at", [-5, 0, 86_400 * 3, 86_400 * 20 + 64_000, 86_400 * 60])
def test_base_and_effects_add_up_to_the_log_odds(artifact, at):
    for user in range(0, 400, 40):
        ranked = artifact.recommender.rank(user, at, 10)

        reasons = explain(artifact.recommender, user, at, ranked)

        total = reasons.base + reasons.effects.sum(1)
        assert expit(total) == pytest.approx(ranked.probability, abs=2e-6)


def test_base_is_the_log_odds_of_an_average_post(artifact):
    recommender = artifact.recommender
    every = np.arange(len(recommender.catalogue.post_ids))
    at = 86_400 * 20

    reasons = explain(artifact.recommender, 5, at, recommender.rank(5, at, 5))

    usual = logit(recommender.score(5, at, every)).mean()
    assert reasons.base == pytest.approx(usual, abs=0.1)  # but for what the trees give


def test_a_feature_that_is_alike_for_all_posts_explains_none_of_them(artifact):
    names = [f.name for f in artifact.recommender.features]
    ranker = artifact.recommender.ranker
    at = 86_400 * 20
    ranked = artifact.recommender.rank(5, at, 5)

    reasons = explain(artifact.recommender, 5, at, ranked)

    alike = names.index("user_log_ratio")
    if alike not in ranker.columns:
        assert reasons.effects[:, alike] == pytest.approx(0, abs=1e-5)


def test_the_words_name_the_users_own_profile(artifact):
    store = artifact.store
    column = [c.name for c in store.columns].index("country")
    label = store.columns[column].label(int(store.catalogue.codes[7, column]))

    words = " ".join(words_for(artifact.recommender, 7))

    assert f"people with this country ({label}) like such posts" in words
    assert f"the user's country ({label})" in words


def test_features_of_the_same_words_are_one_reason() -> None:
    effects = np.array([[0.5, -0.1, 0.001, 0.4, -0.6]])
    words = ("its age", "its topic", "the hour", "its topic", "its age")
    reasons = Reasons(0.0, tuple("abcde"), np.zeros((1, 5)), effects, words)
    assert [i for i, _ in reasons.strongest(0, 9)] == [3, 4]
    assert [e for _, e in reasons.strongest(0, 9)] == pytest.approx([0.3, -0.1])
    assert len(reasons.strongest(0, 1)) == 1


def test_the_answer_lists_the_strongest_reasons_and_the_rest(client, user_id):
    query = {"id": user_id, "time": MOMENT}
    told = client.get(f"{PATH}explain", params=query).json()
    plain = client.get(PATH, params=query).json()

    assert [p["id"] for p in told["recommendations"]] == [p["id"] for p in plain]
    assert expit(told["base"]) == pytest.approx(told["base_probability"])
    for post in told["recommendations"]:
        effects = [r["effect"] for r in post["reasons"]]
        total = told["base"] + sum(effects) + post["others"]
        assert expit(total) == pytest.approx(post["probability"], abs=2e-6)
        assert effects == sorted(effects, key=abs, reverse=True)
        for reason in post["reasons"]:
            side = "for it" if reason["effect"] > 0 else "against it"
            assert reason["sentence"].startswith(side)
            assert reason["times"] == pytest.approx(np.exp(reason["effect"]))
