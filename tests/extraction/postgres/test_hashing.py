from __future__ import annotations

import numpy as np
import pytest

from feedrank.extraction.postgres.row_format import Layout, WireRows
from feedrank.schema import NO_ID
from tests.conftest import TestDatabase


@pytest.mark.parametrize("most", [2**31 - 1, 2**63 - 1])
def test_the_checksum_is_the_one_of_the_database(database: TestDatabase, most: int) -> None:
    draw = np.random.default_rng(1)
    layout = Layout.for_bounds([most])
    users, posts = draw.integers(0 if layout.is_narrow else -most, most, (2, 300))
    at, liked = draw.integers(-(10**9), 10**9, 300), draw.integers(0, 2, 300).astype(np.uint8)
    users[:9] = posts[:9] = NO_ID
    values = ", ".join(
        f"(timestamp '2000-01-01' + interval '1 second' * {t}, "
        f"nullif(({u})::int8, {NO_ID}), nullif(({p})::int8, {NO_ID}), {y})"
        for t, u, p, y in zip(*(a.tolist() for a in (at, users, posts, liked)), strict=True)
    )
    check = layout.check("t", "u", "p", "y")
    expected = database.execute(f"SELECT {check} FROM (VALUES {values}) AS v(t, u, p, y)")
    found = layout.checksums(WireRows(users, posts, at, liked))
    assert found.tolist() == [c for (c,) in expected]


@pytest.mark.parametrize("most", [2**31 - 1, 2**63 - 1])
def test_no_bit_of_a_row_is_lost_and_none_cancels_another(most: int) -> None:
    n = most.bit_length()
    # One bit of user, post or label in each row, then every two of them.
    bits = np.zeros((2 * n + 1, 3), np.int64)
    bits[:n, 0] = bits[n : 2 * n, 1] = 1 << np.arange(n)
    bits[-1, 2] = 1
    first, second = np.triu_indices(len(bits))
    users, posts, labels = (bits[first] | bits[second]).T
    rows = WireRows(users, posts, np.zeros_like(users), labels.astype(np.uint8))
    found = Layout.for_bounds([most]).checksums(rows)
    assert len(np.unique(found)) == len(rows)
