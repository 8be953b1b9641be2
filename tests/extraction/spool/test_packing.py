from __future__ import annotations

import numpy as np
import pytest

from feedrank.errors import ParamsError
from feedrank.extraction.spool.packing import Packing


def test_packed_impressions_sort_like_the_log() -> None:
    draw = np.random.default_rng(3)
    at, user, post, liked = (draw.integers(0, n, 500) for n in (86_400 * 3, 17, 1000, 2))
    packing = Packing.fitting(3, 17, 1000)
    packed = packing.pack(at, user, post, liked)
    rows = packing.unpack(np.sort(packed), 100, 0)
    order = np.lexsort((liked, post, user, at))
    assert rows.at.tolist() == at[order].tolist()
    assert rows.user.tolist() == (user[order] + 100).tolist()
    assert rows.post.tolist() == post[order].tolist()
    assert rows.liked.tolist() == liked[order].tolist()


def test_a_bucket_that_does_not_fit_asks_for_more_buckets() -> None:
    with pytest.raises(ParamsError, match=r"Raise 'extract.buckets'"):
        Packing.fitting(days=3000, users_a_bucket=10**7, n_posts=10**6)
