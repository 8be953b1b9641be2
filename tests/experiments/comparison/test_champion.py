"""The live artifact on requests that came after its log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.artifact.artifact import Artifact
from feedrank.experiments.comparison.champion import hits_of_champion
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.ranking.recommender import Recommender
from feedrank.schema import USER_ID
from feedrank.state.feature_store import FeatureStore
from tests.live.followed import CUT, followed
from tests.support.simulated_logs import recommender_of

K = 3


def _artifact(store: FeatureStore, recommender: Recommender) -> Artifact:
    return Artifact(Path(), {}, store, recommender, "some")


def test_a_champion_answers_what_came_after_its_log_among_the_posts_that_were_shown() -> None:
    of = followed()
    first, whole = of.learned.store, of.whole()
    champion = _artifact(first, of.learned.recommender)
    challenger = _artifact(whole, recommender_of(of.learned, whole))
    users = of.log.users[USER_ID].to_numpy()
    rows = of.rows
    rows = rows[rows.at // SECONDS_A_DAY > CUT // SECONDS_A_DAY]  # whole days after the cut
    sessions = pd.DataFrame(
        {"user": rows.user, "day": rows.at // SECONDS_A_DAY, "at": rows.at}
    ).groupby(["user", "day"], as_index=False)["at"].min()  # fmt: skip
    moments = pd.Timestamp(first.meta.origin_at) + pd.to_timedelta(sessions["at"], unit="s")
    requests = pd.DataFrame({"user_id": users[sessions["user"]], "at": moments})
    midway = pd.Timestamp(first.meta.origin_at) + pd.Timedelta(days=12)
    earlier = pd.DataFrame({"user_id": users[:5], "at": midway})

    found = hits_of_champion(champion, challenger, pd.concat([requests, earlier]), K)

    is_known = sessions["user"] < first.meta.n_users
    assert 0 < is_known.sum() < len(sessions)
    assert len(found) == is_known.sum()  # neither new users nor what its own log holds
    expected = []
    for user, day, at in sessions[is_known].itertuples(index=False):
        of_request = (rows.user == user) & (rows.at // SECONDS_A_DAY == day)
        shown, liked = rows.post[of_request], rows.post[of_request & (rows.liked > 0)]
        known = np.unique(shown[np.isin(shown, np.arange(first.fitted.n_posts))])
        best = champion.recommender.rank(user, int(at), K, known.astype(np.int64)).post
        expected.append(float(np.isin(best, liked).any()))
    assert found[f"feedrank/shown@{K}"].tolist() == expected
    assert 0 < np.mean(expected) < 1
    assert found["user_id"].tolist() == users[sessions["user"][is_known]].tolist()
