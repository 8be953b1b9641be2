"""Comparison of one environment's answers with those of the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.golden import TOLERANCE
from tests.support.course.requests import MOST_MEGABYTES, MOST_SECONDS, Request, hit_rate

LEAST_EQUAL = 0.999  # of the lists; two in 2,000 may differ by ties
HEAD = (
    "| Python | xgboost | numpy | fastapi, pydantic | left out | lists equal | hit rate "
    "| probabilities differ by | loads in | p50 | p99 | slowest | memory |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Played:
    """Answers of one environment, compared with those of the service.

    Attributes:
        found: the player's output.
        equal: share of lists that are the service's.
        n_ties: other lists whose posts are equally likely by the service's own probabilities.
        n_others: lists that differ for any other reason.
        hit_rate: by the demo's truth; None without one.
    """

    found: dict[str, Any]
    equal: float
    n_ties: int
    n_others: int
    hit_rate: float | None

    def broken(self) -> list[str]:
        """Broken limits, in words."""
        p99, used = np.percentile(self.found["milliseconds"], 99), self.found["megabytes"]
        limits = {
            f"{self.equal:.2%} of the lists are the service's": self.equal < LEAST_EQUAL,
            f"{self.n_others} lists differ by more than ties": self.n_others > 0,
            f"p99 is {p99:.0f} ms": p99 > 1000 * MOST_SECONDS,
            f"it took {used:.0f} MB": used > MOST_MEGABYTES,
            f"probabilities differ by {self.found['difference']:.1e}": (
                self.found["difference"] > TOLERANCE
            ),
        }
        return [words for words, is_broken in limits.items() if is_broken]


def compare(
    artifact: Artifact, requests: list[Request], ours: list[list[int]], found: dict[str, Any]
) -> Played:
    """Compare a player's output; a list that differs is explained by ties, or counted."""
    differing = [
        i for i, (here, there) in enumerate(zip(ours, found["lists"], strict=True)) if here != there
    ]
    ties = [i for i in differing if _are_equally_likely(artifact, requests[i], ours[i],
                                                        found["lists"][i])]  # fmt: skip
    return Played(
        found,
        1 - len(differing) / len(requests),
        len(ties),
        len(differing) - len(ties),
        hit_rate(artifact.store, requests, found["lists"]),
    )


def _are_equally_likely(
    artifact: Artifact, request: Request, ours: list[int], theirs: list[int]
) -> bool:
    user_id, moment = request
    catalogue, meta = artifact.store.catalogue, artifact.store.meta
    at = meta.seconds(datetime.fromisoformat(moment))
    p = [
        artifact.recommender.score(catalogue.user(user_id), at,
                                   np.array([catalogue.post(post) for post in posts]))
        for posts in (ours, theirs)
    ]  # fmt: skip
    return len(p[0]) == len(p[1]) and bool(np.abs(p[0] - p[1]).max() <= TOLERANCE)


def row(played: Played, left_out: list[str]) -> str:
    """One line of the table."""
    found, versions = played.found, played.found["versions"]
    p50, p99, most = np.percentile(found["milliseconds"], [50, 99, 100])
    hit = "-" if played.hit_rate is None else f"{played.hit_rate:.4f}"
    equal = f"{played.equal:.2%}" + (f", {played.n_ties} ties" if played.n_ties else "")
    return (
        f"| {found['python']} | {versions['xgboost']} | {versions['numpy']} "
        f"| {versions['fastapi']}, {versions['pydantic']} | {', '.join(left_out) or 'nothing'} "
        f"| {equal} | {hit} | {found['difference']:.1e} | {found['load_seconds']:.1f} s "
        f"| {p50:.1f} ms | {p99:.1f} ms | {most:.0f} ms | {found['megabytes']:.0f} MB |"
    )
