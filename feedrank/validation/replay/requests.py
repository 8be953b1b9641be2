"""Requests of a test period: users who came back, at the moment they did."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from feedrank.log.calendar import Fold
from feedrank.log.files import Log
from feedrank.log.impressions import Impressions, LoggedExposures
from feedrank.log.sampling import uniform_of
from feedrank.params import ValidateParams
from feedrank.schema import USER_ID
from feedrank.state.catalogue import are_text, id_array
from feedrank.validation.replay.propensity import Propensity

# Posts scored for all requests of a fold where `validate.requests` is null: at 4 ms of processor
# time for 7,023 posts and the usual baselines, half a minute.
SCORED_A_FOLD = 50_000_000
LEAST_REQUESTS = 500
# Impressions of a test period that are looked at, at most: 30 bytes each. The reference
# installation has 10.7 million in two weeks; of more, those of half of the users are, or a quarter.
MOST_ROWS = 24_000_000


@dataclass(frozen=True)
class Requests:
    """Users who came back in the test period, at their first impression of a step.

    Attributes:
        user: row, int64, shape (n,).
        at: seconds since the log's origin, int64, shape (n,).
        offsets: where the impressions of each request begin, shape (n + 1,).
        post: shown within the request's step, each once, ascending, int64, shape (n_shown,).
        liked: whether it was liked then, bool, shape (n_shown,).
        propensity: of the post: as the exposure log has it, else in the user's stratum, where 1 is
            an average post, shape (n_shown,).
        policy: that showed it, a number of `LoggedExposures`, 0 for the old feed, shape (n_shown,).
        n_times: impressions of the post within the request's step, int64, shape (n_shown,).
    """

    user: np.ndarray
    at: np.ndarray
    offsets: np.ndarray
    post: np.ndarray
    liked: np.ndarray
    propensity: np.ndarray
    policy: np.ndarray
    n_times: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    @property
    def shown_request(self) -> np.ndarray:
        """Row of the request of each impression, shape (n_shown,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

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
            self.propensity[first:last],
            self.policy[first:last],
            self.n_times[first:last],
        )

    def weighed(self, propensity: Propensity, stratum: np.ndarray) -> Requests:
        """The same requests with the propensity of impressions by the old feed.

        Args:
            propensity: of each post in each stratum, by the old feed.
            stratum: of each user of the log, shape (n_users,).
        """
        of_shown = stratum[self.user[self.shown_request]]
        estimated = propensity.relative(of_shown, self.post)
        return replace(self, propensity=np.where(self.policy > 0, self.propensity, estimated))


def are_liked(
    lists: np.ndarray, request: np.ndarray, post: np.ndarray, liked: np.ndarray
) -> np.ndarray:
    """Whether each post of the requests' lists was shown and liked in its request, (..., n, k).

    Args:
        lists: rows of posts by request, -1 is an empty place, shape (..., n, k).
        request: of each impression, shape (n_shown,).
        post: of each impression, same shape.
        liked: of each impression, bool, same shape.
    """
    n_posts = 1 + max(int(post.max(initial=0)), int(lists.max(initial=0)))
    keys = np.arange(lists.shape[-2])[:, None] * n_posts + lists
    return (lists >= 0) & np.isin(keys, (request * n_posts + post)[liked])


def n_asked(validate: ValidateParams, n_posts: int) -> int:
    """Requests of a fold at most: those of `validate.requests`, or as many as take half a minute.

    Args:
        validate: whose `requests` may be None.
        n_posts: of the catalogue, every one of which is scored for each request.
    """
    return validate.requests or max(LEAST_REQUESTS, SCORED_A_FOLD // max(n_posts, 1))


@dataclass(frozen=True)
class Sessions:
    """Impressions of a fold's test period by session: a user's step with at least one of them.

    Attributes:
        rows: impressions, bucket after bucket.
        logged: their exposures.
        of: session of each impression, int64, shape (n_rows,).
        user: row, int64, shape (n_sessions,).
        step: int64, same shape.
        draw: uniform number of each session, of its user's id and its step alone, so that runs on
            another extract, or with more requests, draw mostly the same ones, shape (n_sessions,).
        shown_by_policy: rows of all users who were shown any post of a logged exposure.
        share: of the users whose sessions these are.
    """

    rows: Impressions
    logged: LoggedExposures
    of: np.ndarray
    user: np.ndarray
    step: np.ndarray
    draw: np.ndarray
    shown_by_policy: np.ndarray
    share: float

    @classmethod
    def in_test(cls, log: Log, fold: Fold, step_seconds: int, seed: int) -> Sessions:
        """Sessions of [cutoff, until), of all users or of as many as have `MOST_ROWS` impressions.

        Args:
            log: extracted feed.
            fold: with the period.
            step_seconds: of a step.
            seed: of the draws of sessions and of users.
        """
        ids = numbers_of(log.users[USER_ID].to_numpy())
        parts, by_policy, share = list[_BucketSessions](), [np.zeros(0, np.int64)], 1.0
        user_draw = uniform_of((ids,), seed)
        for number in range(log.meta.n_buckets):
            rows, logged = log.between(number, fold.cutoff, fold.until)
            by_policy.append(np.unique(rows.user[logged.policy > 0]).astype(np.int64))
            parts.append(_BucketSessions.of(rows, logged, step_seconds).of_users(user_draw < share))
            while sum(map(len, parts)) > MOST_ROWS:
                share /= 2  # the same for any number of buckets
                parts = [part.of_users(user_draw < share) for part in parts]
        user, began = (np.concatenate([getattr(p, n) for p in parts]) for n in ("user", "began"))
        since_1970 = np.datetime64(log.meta.origin, "s").astype(np.int64)
        before = np.cumsum([0, *(len(part.user) for part in parts)])
        return cls(
            Impressions.joined(part.rows for part in parts),
            LoggedExposures.joined(part.logged for part in parts),
            np.concatenate([n + part.session for n, part in zip(before, parts, strict=False)]),
            user,
            began // step_seconds,
            uniform_of((ids[user], began + since_1970), seed),
            np.concatenate(by_policy),
            share,
        )

    def __len__(self) -> int:
        return len(self.draw)

    def requests(self, kept: np.ndarray) -> tuple[Requests, np.ndarray]:
        """Some sessions as requests in order of time, and the session of each request.

        The old feed's propensities are NaN; `kept` is a mask, shape (n_sessions,).
        """
        of_kept = kept[self.of]
        return _gathered(self.rows[of_kept], self.logged[of_kept], self.of[of_kept])


@dataclass(frozen=True)
class _BucketSessions:
    """Sessions of one bucket's users: user and begin of each, and the session of each row."""

    rows: Impressions
    logged: LoggedExposures
    session: np.ndarray
    user: np.ndarray
    began: np.ndarray

    @classmethod
    def of(cls, rows: Impressions, logged: LoggedExposures, step_seconds: int) -> _BucketSessions:
        step = rows.at.astype(np.int64) // step_seconds
        n_steps = int(step.max(initial=0)) + 1
        sessions, of = np.unique(rows.user.astype(np.int64) * n_steps + step, return_inverse=True)
        return cls(rows, logged, of, sessions // n_steps, sessions % n_steps * step_seconds)

    def __len__(self) -> int:
        return len(self.rows)

    def of_users(self, kept: np.ndarray) -> _BucketSessions:
        """Those of some users, given a mask over all of the log."""
        stay = kept[self.user]
        if stay.all():
            return self
        rows, number = stay[self.session], np.cumsum(stay) - 1
        session = number[self.session[rows]]
        return _BucketSessions(
            self.rows[rows], self.logged[rows], session, self.user[stay], self.began[stay]
        )


def numbers_of(ids: np.ndarray) -> np.ndarray:
    """A whole number for each id, int64: whole numbers themselves, CRC-32 of text."""
    ids = id_array(ids)
    return np.array([zlib.crc32(i) for i in ids.tolist()], np.int64) if are_text(ids) else ids


def _gathered(
    rows: Impressions, logged: LoggedExposures, session: np.ndarray
) -> tuple[Requests, np.ndarray]:
    """Requests in order of time, each with its posts in order, once, as it was first shown."""
    sessions, of = np.unique(session, return_inverse=True)
    at = np.full(len(sessions), np.iinfo(np.int64).max)
    np.minimum.at(at, of, rows.at.astype(np.int64))
    user = np.zeros(len(sessions), np.int64)
    user[of] = rows.user
    by_time = np.lexsort((user, at))
    place = np.argsort(by_time)
    n_posts = int(rows.post.max(initial=0)) + 1
    pairs, first, of_pair = np.unique(
        place[of] * n_posts + rows.post, return_index=True, return_inverse=True
    )
    liked = np.bincount(of_pair, rows.liked, len(pairs)) > 0
    offsets = np.searchsorted(pairs, np.arange(len(sessions) + 1) * n_posts)
    requests = Requests(
        user[by_time], at[by_time], offsets, pairs % n_posts, liked,
        logged.propensity[first].astype(np.float64), logged.policy[first], np.bincount(of_pair),
    )  # fmt: skip
    return requests, sessions[by_time]
