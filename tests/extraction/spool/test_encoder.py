from __future__ import annotations

import numpy as np
import pytest

from feedrank.extraction.spool.encoder import IdRows


@pytest.mark.parametrize("gap", [1, 10**6, 10**15])
def test_an_id_has_the_row_of_its_place(gap: int) -> None:
    ids = np.arange(-3, 400) * gap
    asked = np.concatenate([ids[::-1], ids + gap // 2 + 1, [2**63 - 1, -(2**63)]])
    expected = [ids.tolist().index(i) if i in ids else -1 for i in asked]
    assert IdRows(ids).find(asked).tolist() == expected
