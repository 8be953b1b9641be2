"""Champion and challenger: the live artifact answers requests of a newer one's validation.

Weeks differ, so hit rates are compared on the same requests alone. A champion that has validated
none of the challenger's answers those that came after its own log, with the state of its end: by
the hit rate `shown`, since the challenger's history holds what was shown and liked.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from feedrank.artifact.artifact import Artifact
from feedrank.state.catalogue import NOBODY, Id, plain_ids
from feedrank.validation.methods import OURS
from feedrank.validation.results.requests_table import column


def hits_of_champion(
    champion: Artifact, challenger: Artifact, requests: pd.DataFrame, k: int
) -> pd.DataFrame:
    """Hits `shown` of the champion in those of the requests that came after its log.

    Args:
        champion: knows nothing of the time after its log.
        challenger: whose history holds the posts that were shown.
        requests: of the challenger's validation, `user_id` and `at`.
        k: length of the lists.

    Returns:
        `user_id`, `at`, and hits as `requests_table` names them, float64; without users that the
        champion does not know.
    """
    later = requests.loc[requests["at"] > champion.as_of, ["user_id", "at"]]
    later = later[later["user_id"].map(champion.store.catalogue.user) != NOBODY]
    hits = [
        _is_hit(champion, challenger, user_id, at.to_pydatetime(), k)
        for user_id, at in zip(later["user_id"], later["at"], strict=True)
    ]
    return later.assign(**{column(OURS, "shown", k): np.array(hits, np.float64)})


def _is_hit(
    champion: Artifact, challenger: Artifact, user_id: Id, moment: datetime, k: int
) -> bool:
    """Whether the best k posts of those that were shown in the step of a request hold a like."""
    store, recommender, known = challenger.store, challenger.recommender, champion.store.catalogue
    user, at = store.catalogue.user(user_id), store.meta.seconds(moment)
    post, step, liked = store.history.before(user, recommender.step(at) + 1)
    of_request = step == recommender.step(at)
    shown = recommender.open_posts(user, at, np.unique(post[of_request]))
    there, likes = (
        known.posts(plain_ids(store.catalogue.post_ids[rows]))
        for rows in (shown, post[of_request & liked.astype(bool)])
    )
    its_moment = champion.store.meta.seconds(moment)
    best = champion.recommender.rank(known.user(user_id), its_moment, k, there).post
    return bool(np.isin(best, likes).any())
