"""Tables of requests and their hits, as `dvc repro validate` writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

N = 900


def hits_table(gain: float = 0.0, seed: int = 0, n: int = N) -> pd.DataFrame:
    """Requests of n / 3 users; `gain` is added to the chance of a hit."""
    common, own = np.random.default_rng(0), np.random.default_rng(seed)
    draw = common.random(n)
    hit = (draw < 0.5 + gain).astype(np.float32)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 3 * 7,
            "at": pd.Timestamp("2021-12-01") + pd.to_timedelta(np.arange(n) % 3, unit="h"),
            "fold": 0,
            "list": np.where(draw < 0.5 + gain, 1, 2).astype(np.uint32),
            "outcomes": (draw * 1e6).astype(np.uint32),
            "feedrank/expected@5": hit + own.normal(0, 0.05, n).astype(np.float32),
            "feedrank/shown@5": np.where(draw < 0.1, np.nan, hit).astype(np.float32),
            "most_liked/expected@5": hit,
        }
    )


def reordered(table: pd.DataFrame) -> pd.DataFrame:
    """The same hits of other lists."""
    return table.assign(list=table["list"] + 2)
