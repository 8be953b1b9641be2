"""Hit rates of parts of the requests: who asks, when, what is known of them, what they get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from feedrank.log.files import SECONDS_A_DAY
from feedrank.params import ValidateParams
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.classification import auc
from feedrank.stats.rounding import rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult

LEAST_REQUESTS, LEAST_USERS = 50, 20  # of a slice that is judged
AGAINST = "most_liked"
N_WORST = 3
COLUMNS = (
    "by", "value", "requests", "shown", "shown_low", "shown_high", "expected", "expected_low",
    "expected_high", "lead", "lead_low", "lead_high",
)  # fmt: skip
VISITS = ("none before", "1 to 5 before", "more than 5")


@dataclass(frozen=True)
class Slice:
    """Some of the requests.

    Attributes:
        by: what they are cut by.
        value: what they share.
        kept: a mask, shape (n_requests,).
    """

    by: str
    value: str
    kept: np.ndarray


def slices_of(results: Sequence[FoldResult], store: FeatureStore) -> Iterator[Slice]:
    """By earlier sessions, day since the cutoff, topic that we list first, and profile column."""
    judged = joined(results)
    sessions = _earlier_sessions(judged, store)
    for value, low, high in zip(VISITS, (0, 1, 6), (1, 6, np.inf), strict=True):
        yield Slice("earlier sessions", value, (sessions >= low) & (sessions < high))
    cutoff = np.concatenate([np.full(len(r.judged.user), r.fold.cutoff) for r in results])
    day = (judged.at - cutoff) // SECONDS_A_DAY
    for one in np.unique(day):
        yield Slice("day since cutoff", f"day {one + 1}", day == one)
    best = judged.top[results[0].names.index(OURS), :, 0]
    first = np.where(best >= 0, np.asarray(store.fitted.topic)[best], -1)
    for code in np.unique(first):
        yield Slice("topic listed first", _topic(store, code), first == code)
    codes = np.asarray(store.catalogue.codes)[judged.user]
    for column, coding in enumerate(store.columns):
        for code in np.unique(codes[:, column]):
            yield Slice(coding.name, coding.label(int(code)), codes[:, column] == code)


def judgeable(slices: Iterable[Slice], user: np.ndarray) -> Iterator[Slice]:
    """The same requests, those of slices too small to judge taken together for each way to cut.

    Args:
        slices: one way to cut after another, each holding every request once.
        user: of each request, shape (n_requests,).
    """
    for by, cluster in groupby(slices, lambda s: s.by):
        small = []
        for one in cluster:
            if is_large(user[one.kept]):
                yield one
            elif one.kept.any():
                small.append(one)
        if len(small) == 1:
            yield small[0]
        elif small:
            together = np.any([s.kept for s in small], axis=0)
            yield Slice(by, f"{len(small)} small ones", together)


def is_large(user: np.ndarray) -> bool:
    """Whether these requests, each of a user, are enough to judge."""
    return len(user) >= LEAST_REQUESTS and len(np.unique(user)) >= LEAST_USERS


def slice_table(
    results: Sequence[FoldResult], store: FeatureStore, params: ValidateParams
) -> pd.DataFrame:
    """One row a slice: hit rates with intervals, and the lead; these are empty if it is too small.

    `lead` is by how much our `shown` exceeds that of the most liked posts, paired: whose likes
    are rare has low hit rates by any method, a low lead says that we do no good there.
    """
    judged, names, k = joined(results), results[0].names, params.k[0]
    rows: list[tuple[object, ...]] = []
    for one in judgeable(slices_of(results, store), judged.user):
        key = (one.by, one.value, int(one.kept.sum()))
        if not is_large(judged.user[one.kept]):
            rows.append((*key, *[None] * (len(COLUMNS) - len(key))))
            continue
        found = score(judged.of_requests(one.kept), names, k, params, (OURS, AGAINST))
        ours, lead = found.methods[OURS], found.lead(OURS, AGAINST, "shown")
        numbers = (n for e in (ours.shown, ours.expected, lead) for n in (e.value, e.low, e.high))
        rows.append((*key, *map(rounded, numbers)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:], float))


def worst_slices(table: pd.DataFrame) -> list[str]:
    """The slices where even the upper end of the lead's interval is smallest, in words."""
    worst = _judged(table).sort_values("lead_high", kind="stable").head(N_WORST)
    return [
        f"{r['by']} = {r['value']}: {r['lead']:+.3f} [{r['lead_low']:+.3f}, "
        f"{r['lead_high']:+.3f}] over most liked ({r['requests']} requests, "
        f"shown {r['shown']:.3f})"
        for r in worst.to_dict("records")
    ]


def slices_in_words(table: pd.DataFrame) -> list[str]:
    """Whether any slice is surely behind the most liked posts, and what could not be judged."""
    judged, small = _judged(table), table[table["expected"].isna()]
    n_behind = int((judged["lead_high"] < 0).sum())
    if n_behind:
        words = [
            f"Surely behind most liked are {n_behind} of {len(judged)} slices; by chance alone "
            f"about {max(1, round(len(judged) / 40))} would be, were none ahead."
        ]
    else:
        words = [f"No slice of {len(judged)} is surely behind most liked."]
    parts = [f"{r['by']} = {r['value']}: {r['requests']}" for r in small.to_dict("records")]
    if parts:
        words.append(
            f"Too few requests to judge, below {LEAST_REQUESTS} or of fewer than {LEAST_USERS} "
            f"users: {'; '.join(parts)}."
        )
    return words


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(subset=["lead"])


def _topic(store: FeatureStore, code: int) -> str:
    if code < 0:
        return "none"
    posts = np.flatnonzero(np.asarray(store.fitted.topic) == code)
    return str(store.topic[int(posts[0])])


def topic_table(results: Sequence[FoldResult], store: FeatureStore) -> list[dict[str, Any]]:
    """One row a topic: its impressions, how they were liked and predicted, our places it takes."""
    judged = joined(results)
    topic = np.asarray(store.fitted.topic)
    ours = judged.top[results[0].names.index(OURS)]
    listed = topic[ours[ours >= 0]]
    rows = []
    for code in range(store.fitted.n_topics):
        here = topic[judged.shown_post] == code
        if not here.any():
            continue
        liked, p = judged.shown_liked[here], judged.shown_probability[here]
        rows.append(
            {
                "topic": _topic(store, code),
                "impressions": int(here.sum()),
                "liked": rounded(float(liked.mean())),
                "predicted": rounded(float(p.mean())),
                "auc": rounded(auc(liked, p)),
                "share_of_lists": rounded(float(np.sum(listed == code)) / max(len(listed), 1)),
            }
        )
    return rows


def _earlier_sessions(judged: ReplayResult, store: FeatureStore) -> np.ndarray:
    """Steps before each request in which its user was shown anything, shape (n_requests,)."""
    seconds = store.fitted.step_seconds
    asked = zip(judged.user.tolist(), judged.at.tolist(), strict=True)
    return np.array([len(np.unique(store.history.before(u, at // seconds)[1])) for u, at in asked])
