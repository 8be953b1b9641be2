"""Hit rates of parts of the requests: who asks, when, and how much is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from feedrank.knowledge import Knowledge
from feedrank.log import SECONDS_A_DAY
from feedrank.params import ValidateParams
from feedrank.validation.folding import FoldResult, joined
from feedrank.validation.methods import OURS
from feedrank.validation.metrics import auc
from feedrank.validation.replay import Judged
from feedrank.validation.rounding import rounded
from feedrank.validation.scores import score

LEAST_REQUESTS = 50  # of a slice that is judged
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


def slices_of(results: Sequence[FoldResult], knowledge: Knowledge) -> Iterator[Slice]:
    """By earlier sessions, by day since the cutoff, and by each profile column."""
    judged = joined(results)
    sessions = _earlier_sessions(judged, knowledge)
    for value, low, high in zip(VISITS, (0, 1, 6), (1, 6, np.inf), strict=True):
        yield Slice("sessions", value, (sessions >= low) & (sessions < high))
    cutoff = np.concatenate([np.full(len(r.judged.user), r.fold.cutoff) for r in results])
    day = (judged.at - cutoff) // SECONDS_A_DAY
    for one in np.unique(day):
        yield Slice("day", f"day {one + 1}", day == one)
    codes = np.asarray(knowledge.catalogue.codes)[judged.user]
    for column, coding in enumerate(knowledge.columns):
        for code in np.unique(codes[:, column]):
            yield Slice(coding.name, coding.label(int(code)), codes[:, column] == code)


def slice_table(
    results: Sequence[FoldResult], knowledge: Knowledge, params: ValidateParams
) -> pd.DataFrame:
    """One row a slice of at least 50 requests: hit rates with intervals, and the lead.

    `lead` is by how much our `shown` exceeds that of the most liked posts, paired: whose likes
    are rare has low hit rates by any method, a low lead says that we do no good there.
    """
    judged, names, k = joined(results), results[0].names, params.k[0]
    rows = []
    for one in slices_of(results, knowledge):
        if one.kept.sum() < LEAST_REQUESTS:
            continue
        found = score(judged.of_requests(one.kept), names, k, params, (OURS, AGAINST))
        ours, lead = found.methods[OURS], found.lead(OURS, AGAINST, "shown")
        numbers = (n for e in (ours.shown, ours.expected, lead) for n in (e.value, e.low, e.high))
        rows.append((one.by, one.value, int(one.kept.sum()), *map(rounded, numbers)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def worst_slices(table: pd.DataFrame) -> list[str]:
    """The slices with the smallest lead, in words."""
    if table.empty:
        return []
    worst = table.dropna(subset=["lead"]).sort_values("lead", kind="stable").head(N_WORST)
    return [
        f"{r['by']} = {r['value']}: {r['lead']:+.3f} [{r['lead_low']:+.3f}, "
        f"{r['lead_high']:+.3f}] over most liked ({r['requests']} requests, "
        f"shown {r['shown']:.3f})"
        for r in worst.to_dict("records")
    ]


def topic_table(results: Sequence[FoldResult], knowledge: Knowledge) -> list[dict[str, Any]]:
    """One row a topic: its impressions, how they were liked and predicted, our places it takes."""
    judged = joined(results)
    topic = np.asarray(knowledge.encodings.topic)
    ours = judged.top[results[0].names.index(OURS)]
    listed = topic[ours[ours >= 0]]
    rows = []
    for code in range(knowledge.encodings.n_topics):
        here = topic[judged.shown_post] == code
        if not here.any():
            continue
        liked, p = judged.shown_liked[here], judged.shown_probability[here]
        rows.append(
            {
                "topic": knowledge.topic[int(np.flatnonzero(topic == code)[0])],
                "impressions": int(here.sum()),
                "liked": rounded(float(liked.mean())),
                "predicted": rounded(float(p.mean())),
                "auc": rounded(auc(liked, p)),
                "share_of_lists": rounded(float(np.sum(listed == code)) / max(len(listed), 1)),
            }
        )
    return rows


def _earlier_sessions(judged: Judged, knowledge: Knowledge) -> np.ndarray:
    """Steps before each request in which its user was shown anything, shape (n_requests,)."""
    seconds = knowledge.encodings.step_seconds
    asked = zip(judged.user.tolist(), judged.at.tolist(), strict=True)
    return np.array(
        [len(np.unique(knowledge.history.before(u, at // seconds)[1])) for u, at in asked]
    )
