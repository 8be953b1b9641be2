"""Is the feed random? Tested before an off-policy estimate is trusted.

`expected` judges posts by impressions that happen to match. That is fair if, within a segment of
users and up to each post's exposure, what is shown does not hang on who would like it. Each test
gives a size, which says how much it matters, and z, which says whether it could be chance.

    by_day       exposure of a post in a segment, from day to day
    by_<column>  the same, from code to code of a profile column
                 size: standard deviation of exposure around its share, as a part of it
    repeats      pairs of impressions of one user that are of the same post, over the number that
                 random draws by the shares would give; no post counts twice within a step
    past_likes   whether users are shown more of the groups of posts that they liked before
                 size: the mean shift of a user's earlier log ratio of the group that is shown,
                 in standard deviations of it under random draws
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feedrank.counts import StepCounts, UserCounts
from feedrank.encodings import Encodings
from feedrank.history import History
from feedrank.knowledge import Knowledge
from feedrank.priors import ratio
from feedrank.validation.exposure import Exposure

CERTAIN = 4.0  # z from which a difference is no chance, several tests allowed for
MOST_SPREAD, MOST_SHIFT, REPEATS = 0.3, 0.1, (0.5, 2.0)
LIKES_STRENGTH = 5.0  # expected likes


@dataclass(frozen=True)
class Finding:
    """What one test says.

    Attributes:
        name: of the test.
        size: of the difference; 1 for `repeats` and 0 for all others if there is none.
        z: over its standard error under random draws.
        is_fair: whether it is small enough, or could be chance.
        words: what it means.
    """

    name: str
    size: float
    z: float
    is_fair: bool
    words: str


@dataclass(frozen=True)
class Viewed:
    """Impressions of some users, user by user.

    Attributes:
        user: row of the user among all, shape (n,).
        place: place of the user among these, shape (n,).
        post: shape (n,).
        step: shape (n,).
        liked: bool, shape (n,).
    """

    user: np.ndarray
    place: np.ndarray
    post: np.ndarray
    step: np.ndarray
    liked: np.ndarray

    @classmethod
    def of(cls, history: History, users: np.ndarray, until: int) -> Viewed:
        """Histories of the given users before a step."""
        parts = [history.before(int(user), until) for user in users]
        n = [len(post) for post, _, _ in parts]
        place = np.repeat(np.arange(len(users)), n)
        post, step, liked = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in range(3))
        return cls(users[place], place, post.astype(np.int64), step.astype(np.int64),
                   liked.astype(bool))  # fmt: skip

    def __getitem__(self, rows: np.ndarray) -> Viewed:
        return Viewed(*(column[rows] for column in vars(self).values()))


def randomness_of(
    knowledge: Knowledge, exposure: Exposure, users: np.ndarray, since: int, until: int
) -> list[Finding]:
    """All tests of the steps [since, until); none where nobody was shown anything.

    Args:
        knowledge: of the log.
        exposure: of the same steps.
        users: whose impressions are looked at, rows, each once.
        since: first step.
        until: first step no longer.
    """
    if not len(users):
        return []
    encodings, codes = knowledge.encodings, np.asarray(knowledge.catalogue.codes)
    viewed = Viewed.of(knowledge.history, np.asarray(users), until)
    segment = encodings.segment(codes[viewed.user])
    within = viewed.step >= since
    found = [_by_day(knowledge.shared.by_post, encodings, exposure, since, until)]
    for column, name in enumerate(encodings.column_names):
        if column != encodings.segment_column:
            code = codes[viewed.user[within], column].astype(np.int64)
            found.append(_by_code(name, code, segment[within], viewed.post[within], exposure))
    found.append(_repeats(viewed, segment, exposure, encodings.n_posts))
    return [*found, _past_likes(viewed, segment, within, encodings, exposure)]


def _by_day(
    by_post: StepCounts, encodings: Encodings, exposure: Exposure, since: int, until: int
) -> Finding:
    a_day = max(1, 86_400 // encodings.step_seconds)
    shape = (encodings.n_segments, encodings.n_posts)

    def days() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for day in range(since, until, a_day):
            shown = by_post.before(min(day + a_day, until), day).shown.reshape(shape)
            yield shown, exposure.share * shown.sum(1, keepdims=True)

    words = "the share of a post in what a segment is shown changes from day to day"
    return _spread("by_day", days(), words)


def _by_code(
    name: str, code: np.ndarray, segment: np.ndarray, post: np.ndarray, exposure: Exposure
) -> Finding:
    n_codes = int(code.max(initial=0)) + 1
    n_segments, n_posts = exposure.share.shape

    def codes() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for one in range(n_codes):
            here = code == one
            shown = np.bincount(post[here], minlength=n_posts)
            yield shown, np.bincount(segment[here], minlength=n_segments) @ exposure.share

    words = f"which posts are shown hangs on '{name}' beyond the segments of users"
    return _spread(f"by_{name}", codes(), words)


def _spread(name: str, cells: Iterator[tuple[np.ndarray, np.ndarray]], words: str) -> Finding:
    """Counts against expected ones: their variance beyond that of Poisson counts."""
    excess = possible = 0.0
    for shown, expected in cells:
        excess += float(np.sum((shown - expected) ** 2 - shown))
        possible += float(np.sum(expected**2))
    if not possible:
        return Finding(name, 0.0, 0.0, True, words)
    size, z = np.sqrt(max(excess, 0.0) / possible), excess / np.sqrt(2 * possible)
    return Finding(name, float(size), float(z), bool(size <= MOST_SPREAD or z < CERTAIN), words)


def _repeats(viewed: Viewed, segment: np.ndarray, exposure: Exposure, n_posts: int) -> Finding:
    """Pairs of impressions of one user in different steps, of the same post."""
    n_users = int(viewed.place.max(initial=0)) + 1
    n_steps = int(viewed.step.max(initial=0)) + 1
    total = np.bincount(viewed.place, minlength=n_users)
    session = viewed.place * n_steps + viewed.step
    in_step = np.unique(session, return_counts=True)[1]
    pairs = (total**2).sum() - (in_step.astype(float) ** 2).sum()
    pair = viewed.place * n_posts + viewed.post
    same = np.unique(pair, return_counts=True)[1].astype(float)
    same_step = np.unique(session * n_posts + viewed.post, return_counts=True)[1].astype(float)
    observed = ((same**2).sum() - (same_step**2).sum()) / 2
    chance = np.zeros(n_users)
    chance[viewed.place] = (exposure.share**2).sum(1)[segment]
    by_user = total**2 - np.bincount(
        np.unique(session) // n_steps, in_step.astype(float) ** 2, n_users
    )
    expected = float((by_user * chance).sum() / 2) if pairs else 0.0
    words = "users are shown posts again more, or less, often than chance"
    if not expected:
        return Finding("repeats", 1.0, 0.0, True, words)
    size, z = observed / expected, (observed - expected) / np.sqrt(expected)
    is_fair = REPEATS[0] <= size <= REPEATS[1] or abs(z) < CERTAIN
    return Finding("repeats", float(size), float(z), bool(is_fair), words)


def _past_likes(
    viewed: Viewed,
    segment: np.ndarray,
    within: np.ndarray,
    encodings: Encodings,
    exposure: Exposure,
) -> Finding:
    n_users = int(viewed.place.max(initial=0)) + 1
    cluster, n_groups = encodings.eras[0].groups.cluster, encodings.n_groups
    past = UserCounts(n_users, {"cluster": (cluster, n_groups)})
    earlier = viewed[~within]
    past.update(earlier.place, earlier.post, earlier.liked)
    counts = past.of("cluster")
    own = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    liking = np.log(ratio(counts.liked, counts.shown * own[:, None], LIKES_STRENGTH))
    by_group = exposure.share @ np.eye(n_groups)[cluster]
    now, of = viewed[within], segment[within]
    mean = (by_group[of] * liking[now.place]).sum(1)
    variance = (by_group[of] * liking[now.place] ** 2).sum(1) - mean**2
    shift = np.bincount(now.place, liking[now.place, cluster[now.post]] - mean, n_users)
    words = "users are shown more of what they liked before"
    scatter = np.sqrt(np.sum(shift**2))
    spread = np.sqrt(variance.mean()) if len(variance) else 0.0
    if not scatter or not spread:
        return Finding("past_likes", 0.0, 0.0, True, words)
    size, z = shift.sum() / len(of) / spread, shift.sum() / scatter
    return Finding("past_likes", float(size), float(z),
                   bool(abs(size) <= MOST_SHIFT or abs(z) < CERTAIN), words)  # fmt: skip
