from __future__ import annotations

import numpy as np

from feedrank.extraction.postgres.row_format import Layout, checksum
from tests.conftest import TestDatabase


def test_the_checksum_is_the_one_of_the_database(database: TestDatabase) -> None:
    draw = np.random.default_rng(1)
    keys = draw.integers(-(2**63), 2**63 - 1, 300)
    times = draw.integers(-(10**15), 10**15, 300) // 10**6 * 10**6
    values = ", ".join(
        f"({k}::int8, timestamp '2000-01-01' + interval '1 microsecond' * {t}::int8)"
        for k, t in zip(keys.tolist(), times.tolist(), strict=True)
    )
    check = Layout.check("k", "t")
    expected = [c for (c,) in database.execute(f"SELECT {check} FROM (VALUES {values}) AS v(k, t)")]
    assert checksum(keys, times).tolist() == expected
