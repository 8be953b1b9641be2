"""Topics of posts as small codes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feedrank.schema import TOPIC

MAX_TOPICS = 64


def topic_codes(posts: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Codes of topics, most frequent first; beyond 63 topics the rest share one."""
    counts = posts[TOPIC].value_counts()
    names = sorted(counts.index, key=lambda topic: (-counts[topic], topic))
    codes = posts[TOPIC].map({t: min(i, MAX_TOPICS - 1) for i, t in enumerate(names)})
    return codes.to_numpy(dtype=np.int64), names[:MAX_TOPICS]
