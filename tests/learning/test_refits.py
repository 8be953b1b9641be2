from __future__ import annotations

import numpy as np
import pytest

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


def test_rows_that_are_counted_in_pieces_are_each_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned = simulated()
    store, rows = learned.store, learned.log.bucket(0)
    profiles = Profiles(store.columns, np.asarray(store.catalogue.codes))
    cluster, some = store.fitted.refits[0].clusters, np.unique(rows.user)[::2].astype(np.int64)

    def counted() -> list[list[int]]:
        by_column = refits._column_cells(rows, profiles, store.fitted, cluster)
        by_user = refits._by_user(some, rows, cluster.cluster, store.fitted.n_clusters)
        counts = (*by_column, by_user.shown, by_user.liked)
        return [np.ravel(count).tolist() for count in counts]

    whole = counted()
    monkeypatch.setattr(refits, "PIECE_ROWS", len(rows) // 3)
    assert counted() == whole
