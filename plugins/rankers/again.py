"""Again: the first stage, and a bonus for posts that the user liked lately."""

import numpy as np

from feedrank.ranking.rankers.learned import LearnedRanker

WIDTH = 50  # impressions


class LikedAgain(LearnedRanker):
    @classmethod
    def fit(cls, rows, late, params, early):
        again = liked_lately(rows)
        rate = [(rows.liked[x].sum() + 1) / (x.sum() + 2) for x in (again, ~again)]
        return {"bonus": np.log(rate[0] / rate[1])}

    def score(self, rows):
        return rows.log_odds + self.learned["bonus"] * liked_lately(rows)


def liked_lately(rows):
    latest = rows.past.latest(WIDTH)
    liked = np.where(latest.liked, latest.post, -1)
    return (liked[rows.request] == rows.post[:, None]).any(1)
