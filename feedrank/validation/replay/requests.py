"""Test impressions become requests: users who came back, at the moment they did."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions
from feedrank.validation.replay.propensity import Exposure


@dataclass(frozen=True)
class Requests:
    """Users who came back in the test period, at their first impression of a step.

    Attributes:
        user: row, int64, shape (n,).
        at: seconds since the log's origin, int64, shape (n,).
        offsets: where the impressions of each request begin, shape (n + 1,).
        post: shown within the request's step, each once, int64, shape (n_shown,).
        liked: whether it was liked then, bool, shape (n_shown,).
        exposure: how often the feed shows the post to the segment, 1 for an average post, shape
            (n_shown,).
    """

    user: np.ndarray
    at: np.ndarray
    offsets: np.ndarray
    post: np.ndarray
    liked: np.ndarray
    exposure: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def shown(self, request: int) -> tuple[np.ndarray, np.ndarray]:
        """Posts, sorted, and whether each was liked."""
        rows = slice(self.offsets[request], self.offsets[request + 1])
        return self.post[rows], self.liked[rows]

    def part(self, number: int, n_parts: int) -> Requests:
        """The requests of one worker, in order."""
        low, high = (len(self) * i // n_parts for i in (number, number + 1))
        first, last = self.offsets[low], self.offsets[high]
        return Requests(
            self.user[low:high],
            self.at[low:high],
            self.offsets[low : high + 1] - first,
            self.post[first:last],
            self.liked[first:last],
            self.exposure[first:last],
        )

    def exposed(self, exposure: Exposure, segment: np.ndarray) -> Requests:
        """The same requests with the exposure of what they show; `segment` is of each user."""
        of = segment[np.repeat(self.user, np.diff(self.offsets))]
        return replace(self, exposure=exposure.relative(of, self.post))


def requests_of(log: Log, fold: Fold, step_seconds: int, n: int, seed: int) -> Requests:
    """A seeded sample of the requests of a fold's test period, in order of time.

    Args:
        log: extracted feed.
        fold: whose [cutoff, until) is replayed.
        step_seconds: a request is a user's step with at least one impression.
        n: at most.
        seed: of the sample.
    """
    rows = Impressions.joined(b.between(fold.cutoff, fold.until) for b in log.buckets())
    step = rows.at.astype(np.int64) // step_seconds
    n_steps = int(step.max(initial=0)) + 1
    session = rows.user.astype(np.int64) * n_steps + step
    names = np.unique(session)
    kept = np.isin(session, np.random.default_rng(seed).permutation(names)[:n])
    return _gathered(rows[kept], session[kept])


def _gathered(rows: Impressions, session: np.ndarray) -> Requests:
    """Requests in order of time, each with its posts in order, once."""
    names, of = np.unique(session, return_inverse=True)
    first_at = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first_at, of, rows.at.astype(np.int64))
    user = np.zeros(len(names), np.int64)
    user[of] = rows.user
    by_time = np.lexsort((user, first_at))
    place = np.empty(len(names), np.int64)
    place[by_time] = np.arange(len(names))
    n_posts = int(rows.post.max(initial=0)) + 1
    pairs, of_pair = np.unique(place[of] * n_posts + rows.post, return_inverse=True)
    liked = np.zeros(len(pairs), bool)
    np.logical_or.at(liked, of_pair, rows.liked.astype(bool))
    offsets = np.searchsorted(pairs, np.arange(len(names) + 1) * n_posts)
    alike = np.ones(len(pairs))
    return Requests(user[by_time], first_at[by_time], offsets, pairs % n_posts, liked, alike)
