"""Slices: hit rates of parts of the requests, by user, day, profile and topic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from feedrank.engines.engine import map_parts
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import ValidateParams
from feedrank.state.feature_store import FeatureStore
from feedrank.stats.classification import auc
from feedrank.stats.intervals import LEAST_REQUESTS, LEAST_USERS, NOTHING, estimate, rounded
from feedrank.validation.fold import FoldResult, joined
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.replay import ReplayResult

AGAINST = "most_liked"
N_WORST = 3  # slices that are named
MOST_SLICES = 32  # of an attribute: a table that people can read
COLUMNS = (
    "by", "value", "requests", "shown", "shown_low", "shown_high", "expected", "expected_low",
    "expected_high", "lead", "lead_low", "lead_high",
)  # fmt: skip
VISITS = ("none before", "1 to 5 before", "more than 5")


@dataclass(frozen=True)
class Slice:
    """Some of the requests.

    Attributes:
        by: attribute that cuts the requests.
        value: of that attribute.
        kept: a mask, shape (n_requests,).
    """

    by: str
    value: str
    kept: np.ndarray


def slices_of(results: Sequence[FoldResult], store: FeatureStore) -> Iterator[Slice]:
    """By earlier sessions, day since the cutoff, topic of our first post, and profile column."""
    replayed = joined(results)
    sessions = _earlier_sessions(replayed, store)
    for value, low, high in zip(VISITS, (0, 1, 6), (1, 6, np.inf), strict=True):
        yield Slice("earlier sessions", value, (sessions >= low) & (sessions < high))
    cutoff = np.concatenate([np.full(len(r.replayed.user), r.fold.cutoff) for r in results])
    day = (replayed.at - cutoff) // SECONDS_A_DAY
    for one in np.unique(day):
        yield Slice("day since cutoff", f"day {one + 1}", day == one)
    best = replayed.top[results[0].names.index(OURS), :, 0]
    first = np.where(best >= 0, np.asarray(store.fitted.topic)[best], -1)
    for code in np.unique(first):
        yield Slice("topic listed first", _topic(store, code), first == code)
    codes = np.asarray(store.catalogue.codes)[replayed.user]
    for column, coding in enumerate(store.columns):
        for code in np.unique(codes[:, column]):
            yield Slice(coding.name, coding.label(int(code)), codes[:, column] == code)


def large_slices(slices: Iterable[Slice], user: np.ndarray) -> Iterator[Slice]:
    """The same requests; for each attribute the slices that are too small or many become one.

    Args:
        slices: one attribute after another, each holding every request once.
        user: of each request, shape (n_requests,).
    """
    for by, group in groupby(slices, lambda s: s.by):
        some, others = list(group), []
        size = np.array([one.kept.sum() for one in some])
        largest = {*np.argsort(-size, kind="stable")[:MOST_SLICES].tolist()}
        for number, one in enumerate(some):
            if number in largest and is_large(user[one.kept]):
                yield one
            elif size[number]:
                others.append(one)
        if len(others) == 1:
            yield others[0]
        elif others:
            together = np.any([s.kept for s in others], axis=0)
            yield Slice(by, f"{len(others)} others", together)


def is_large(user: np.ndarray) -> bool:
    """Whether requests of these users, shape (n,), are enough for an interval."""
    return len(user) >= LEAST_REQUESTS and len(np.unique(user)) >= LEAST_USERS


def slice_table(
    results: Sequence[FoldResult], store: FeatureStore, params: ValidateParams
) -> pd.DataFrame:
    """One row a slice: hit rates with intervals, and the lead; empty where too few are judged.

    `lead` is our `shown` less that of the most liked posts, paired: users who seldom like have low
    hit rates by any method, while a low lead means that our ranking is of no use there.
    """
    replayed = joined(results)
    slices = list(large_slices(slices_of(results, store), replayed.user))
    row_of = partial(_row_of, replayed, results[0].names, params, slices)
    rows = list(map_parts(row_of, len(slices), "judging slices"))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[3:], float))


def _row_of(
    replayed: ReplayResult,
    names: tuple[str, ...],
    params: ValidateParams,
    slices: Sequence[Slice],
    number: int,
) -> tuple[object, ...]:
    one, k = slices[number], params.k[0]
    key = (one.by, one.value, int(one.kept.sum()))
    if not is_large(replayed.user[one.kept]):
        return (*key, *[None] * (len(COLUMNS) - len(key)))
    part = replayed.of_requests(one.kept)
    found = score(part, names, k, params, (OURS,))
    ours, other = found.methods[OURS], part.hit_shown[names.index(AGAINST), :, k - 1]
    lead = estimate(ours.by_request["shown"] - other, found.weights)
    judged = (e if e.is_decisive else NOTHING for e in (ours.shown, ours.expected, lead))
    return (*key, *(number for e in judged for number in e.entries("").values()))


def supported_slices(table: pd.DataFrame, void: Collection[str]) -> pd.DataFrame:
    """The table without values of the kinds of hit rate that are void; leads are of `shown`."""
    names = (*void, "lead") if "shown" in void else tuple(void)
    return table.assign(**{c: np.nan for c in COLUMNS if names and c.startswith(names)})


def worst_slices(table: pd.DataFrame) -> list[str]:
    """The slices whose lead has the lowest upper ends of its interval, in words."""
    worst = _large(table).sort_values("lead_high", kind="stable").head(N_WORST)
    return [
        f"{r['by']} = {r['value']}: {r['lead']:+.3f} [{r['lead_low']:+.3f}, "
        f"{r['lead_high']:+.3f}] over most liked ({r['requests']} requests, "
        f"shown {r['shown']:.3f})"
        for r in worst.to_dict("records")
    ]


def slices_in_words(table: pd.DataFrame) -> list[str]:
    """Number of slices significantly behind the most liked posts, and those of too few requests."""
    large, small = _large(table), table[table["lead"].isna()]
    n_behind = int((large["lead_high"] < 0).sum())
    if large.empty:
        return ["No slice is compared with most liked: too little is judged by shown."]
    if n_behind:
        words = [
            f"{n_behind} of {len(large)} slices are significantly behind most liked; about "
            f"{len(large) / 40:.2g} would be by chance, were none ahead."
        ]
    else:
        words = [f"No slice of {len(large)} is significantly behind most liked."]
    parts = [f"{r['by']} = {r['value']} ({r['requests']})" for r in small.to_dict("records")]
    if parts:
        words.append(
            f"Without an interval, since shown judges fewer than {LEAST_REQUESTS} requests or "
            f"{LEAST_USERS} users, with the number of all requests: {'; '.join(parts)}."
        )
    return words


def _large(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(subset=["lead"])


def _topic(store: FeatureStore, code: int) -> str:
    """The topic of a code, in words; of one that topics share, how many these are."""
    if code < 0:
        return "none"
    names = {store.topic[row] for row in np.flatnonzero(store.fitted.topic == code).tolist()}
    return f"{len(names)} topics of few posts" if len(names) > 1 else names.pop()


def topic_table(results: Sequence[FoldResult], store: FeatureStore, k: int) -> list[dict[str, Any]]:
    """Impressions, like rate, predicted rate, AUC, and share of our lists of k, by topic.

    Of topics beyond `MOST_SLICES` those which were shown most.
    """
    replayed = joined(results)
    topic = np.asarray(store.fitted.topic)
    ours = replayed.top[results[0].names.index(OURS), :, :k]
    listed = topic[ours[ours >= 0]]
    rows = []
    shown = topic[replayed.shown_post]
    n_shown = np.bincount(shown)
    most = np.sort(np.argsort(-n_shown, kind="stable")[:MOST_SLICES])
    for code in most[n_shown[most] > 0].tolist():
        here = shown == code
        liked, p = replayed.shown_liked[here], replayed.shown_probability[here]
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


def _earlier_sessions(replayed: ReplayResult, store: FeatureStore) -> np.ndarray:
    """Earlier steps with an impression of each request's user, shape (n_requests,)."""
    steps = (replayed.at // store.fitted.step_seconds).tolist()
    pairs = zip(replayed.user.tolist(), steps, strict=True)
    return np.array([len(np.unique(store.history.before(user, step)[1])) for user, step in pairs])
