"""Reading time: long texts, who likes them, and at which hours they are liked."""

import numpy as np

from feedrank.features.feature import Feature
from feedrank.state.plugins.plugin import Count
from feedrank.stats.shrinkage import as_feature, base_rate

BANDS = 4


def n_words(posts):
    return [len(text.split()) for text in posts.text]


def band(posts):  # whole numbers: users' impressions are counted by it
    return [min(len(text) // 200, BANDS - 1) for text in posts.text]


POSTS = {"n_words": n_words, "band": band}
COUNTS = {"by_hour": Count(lambda p: p.hour * BANDS + p.of_post("band").astype(int), 24 * BANDS)}
USER_COUNTS = ["band"]


def log_rate(counts):
    return as_feature(np.log(base_rate(counts.liked, counts.shown)))


FEATURES = [
    Feature("n_words", lambda q: as_feature(np.log1p(q.of_post("n_words"))), "a long text", None),
    Feature("hour_band", lambda q: log_rate(q.counts("by_hour")), "liked at this hour", 0.0),
    Feature("own_band", lambda q: log_rate(q.user_counts("band")), "this length", 0.0),
]
