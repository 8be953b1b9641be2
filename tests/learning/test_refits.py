from __future__ import annotations

from collections import defaultdict

import numpy as np

from feedrank.learning import refits
from feedrank.learning.refits import refit_days
from feedrank.state.profiles import Profiles
from tests.support.simulated_logs import simulated


def test_an_refit_begins_when_the_log_has_grown_by_40_percent_and_never_after_the_end() -> None:
    assert refit_days(14, 90, 5) == [14, 19, 27, 38, 53]
    assert refit_days(14, 90, 12) == [14, 19, 27, 38, 53, 75]
    assert refit_days(14, 90, 1) == [14]
    assert refit_days(2, 4, 3) == [2, 3]
    assert refit_days(1, 4, 5) == [1, 2, 3]  # a day begins but once


def test_every_row_counts_once_in_each_of_its_users_columns() -> None:
    learned = simulated()
    store, rows = learned.store, learned.log.bucket(1)[:500]
    fitted, clusters = store.fitted, store.fitted.refits[0].clusters
    profiles = Profiles(store.columns, np.asarray(store.catalogue.codes))
    expected: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for user, post, liked in zip(rows.user, rows.post, rows.liked, strict=True):
        codes, cluster = profiles.codes[user], int(clusters.cluster[post])
        segment = int(fitted.segment(codes[None])[0])
        for column, code in enumerate(codes.tolist()):
            place = int(fitted.column_offsets[column]) + code
            key = (place * fitted.n_segments + segment) * fitted.n_clusters + cluster
            expected[key][0] += 1
            expected[key][1] += int(liked)
    users = learned.log.meta.user_range(1)
    key, shown, liked = refits._column_cells(users, profiles, fitted, clusters, rows)
    found = zip(key.tolist(), zip(shown.tolist(), liked.tolist(), strict=True), strict=True)
    assert {k: list(counts) for k, counts in found} == expected
