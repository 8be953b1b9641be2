"""What is learned once, on the warm-up days: segments, groups, encodings, prior weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from category_encoders import MEstimateEncoder

from feedrank.counts import Tally
from feedrank.posts import PostGroups
from feedrank.profiles import Profiles

PRIOR_IMPRESSIONS = 20.0  # weight of the overall rate in a static encoding


@dataclass(frozen=True)
class Strengths:
    """Prior weights in expected likes, each fitted by maximum likelihood (`feedrank.strengths`).

    Attributes:
        user: of a user's propensity.
        user_cluster: of a user's interest in a group, beyond propensity.
        user_topic: of a user's interest in a topic, beyond propensity.
        segment_post: of a segment's interest in a post, beyond group and quality.
        trend: of a post's recent likes over its former ones.
        columns: of the interest of each profile column's codes in a group, beyond segments.
    """

    user: float
    user_cluster: float
    user_topic: float
    segment_post: float
    trend: float
    columns: tuple[float, ...]

    @classmethod
    def usual(cls, n_columns: int) -> Strengths:
        """What is assumed before any evidence."""
        return cls(50.0, 50.0, 50.0, 50.0, 50.0, (50.0,) * n_columns)


@dataclass(frozen=True)
class Encodings:
    """All that pass 2, the replay and the service read besides counts.

    Attributes:
        step_seconds: length of a step.
        half_life_steps: of the recent counts.
        segment_column: the profile column that splits users into segments; -1 for one segment.
        column_codes: number of codes of each profile column.
        groups: of posts.
        topic: code of each post's topic, shape (n_posts,).
        strengths: prior weights.
        encoded: log-odds of liking by code of each profile column, then by hour of the day,
            against the average; from `category_encoders`.
    """

    step_seconds: int
    half_life_steps: float
    segment_column: int
    column_names: tuple[str, ...]
    column_codes: tuple[int, ...]
    groups: PostGroups
    topic: np.ndarray
    strengths: Strengths
    encoded: tuple[np.ndarray, ...]

    @property
    def n_segments(self) -> int:
        """Segments of users."""
        return self.groups.rate.shape[0]

    @property
    def n_groups(self) -> int:
        """Groups of posts."""
        return self.groups.rate.shape[1]

    @property
    def encoded_hour(self) -> np.ndarray:
        """Log-odds of liking by hour of the day, shape (24,)."""
        return self.encoded[-1]

    @property
    def n_topics(self) -> int:
        """Topics of posts."""
        return int(self.topic.max(initial=0)) + 1

    @property
    def n_posts(self) -> int:
        """Posts of the catalogue."""
        return len(self.topic)

    @property
    def column_offsets(self) -> np.ndarray:
        """Where each profile column's codes begin when all are laid end to end."""
        return np.concatenate([[0], np.cumsum(self.column_codes)]).astype(np.int64)

    def segment(self, codes: np.ndarray) -> np.ndarray:
        """Segment of users with these profile codes, int64, shape (n_users,)."""
        if self.segment_column < 0:
            return np.zeros(len(codes), dtype=np.int64)
        return codes[:, self.segment_column].astype(np.int64)

    def save(self, directory: Path) -> None:
        """Write `encodings.json` and `encodings.npz`."""
        values = {
            "step_seconds": self.step_seconds,
            "half_life_steps": self.half_life_steps,
            "segment_column": self.segment_column,
            "column_names": list(self.column_names),
            "column_codes": list(self.column_codes),
            "quality_strength": self.groups.strength,
            "strengths": vars(self.strengths),
        }
        text = json.dumps(values, indent=2, sort_keys=True)
        (directory / "encodings.json").write_text(text + "\n")
        arrays = {
            "log_gate": self.groups.log_gate,
            "group_rate": self.groups.rate,
            "cluster": self.groups.cluster,
            "topic": self.topic,
        }
        arrays |= {f"encoded_{i}": table for i, table in enumerate(self.encoded)}
        for name, array in arrays.items():
            np.save(directory / f"encodings_{name}.npy", array)

    @classmethod
    def load(cls, directory: Path) -> Encodings:
        """What `save` wrote."""
        values: dict[str, Any] = json.loads((directory / "encodings.json").read_text())

        def array(name: str) -> np.ndarray:
            return np.asarray(np.load(directory / f"encodings_{name}.npy"))

        return cls(
            values["step_seconds"],
            values["half_life_steps"],
            values["segment_column"],
            tuple(values["column_names"]),
            tuple(values["column_codes"]),
            PostGroups(
                array("log_gate"), array("group_rate"), values["quality_strength"], array("cluster")
            ),
            array("topic"),
            Strengths(**values["strengths"] | {"columns": tuple(values["strengths"]["columns"])}),
            tuple(array(f"encoded_{i}") for i in range(len(values["column_codes"]) + 1)),
        )


def choose_segment_column(by_column: list[Tally]) -> int:
    """The profile column by which posts differ most in who likes them; -1 if none does.

    For each column, Pearson's statistic of likes by (code, post) against code rate x post ratio,
    less its expectation under no interaction (one per cell with impressions): what is left is
    signal, and grows with both its strength and its reach.

    Args:
        by_column: counts of each column, shape (n_codes, n_posts).
    """
    excess = [_interaction(counts) for counts in by_column]
    if not excess or max(excess) <= 0:
        return -1
    return int(np.argmax(excess))


def _interaction(counts: Tally) -> float:
    shown, liked = counts.shown, counts.liked
    by_code = liked.sum(1) / np.maximum(shown.sum(1), 1)
    expected = by_code[:, None] * shown
    ratio = (liked.sum(0) + 5) / (expected.sum(0) + 5)
    expected = expected * ratio
    variance = expected * (1 - np.minimum(expected / np.maximum(shown, 1), 0.99))
    cells = expected > 0
    statistic = np.sum((liked - expected)[cells] ** 2 / variance[cells])
    n_free = cells.sum() - np.sum(cells.any(1)) - np.sum(cells.any(0)) + 1
    return float(statistic - n_free - 3 * np.sqrt(2 * max(n_free, 1)))


def static_encodings(
    profiles: Profiles, user: np.ndarray, at: np.ndarray, liked: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Log-odds of liking by code of each profile column, then by hour, from warm-up rows.

    Args:
        profiles: of all users.
        user: of each warm-up row, shape (n,).
        at: seconds since the log's origin, shape (n,).
        liked: of each warm-up row, shape (n,).
    """
    tables = [
        _encoded(profiles.codes[user, i], column.n_codes, liked)
        for i, column in enumerate(profiles.columns)
    ]
    return (*tables, _encoded(at % 86_400 // 3600, 24, liked))


def _encoded(code: np.ndarray, n_codes: int, liked: np.ndarray) -> np.ndarray:
    """Log-odds against the average, by code; 0 for one that no row has."""
    if not len(code):
        return np.zeros(n_codes)
    encoder = MEstimateEncoder(cols=["code"], m=PRIOR_IMPRESSIONS)
    encoder.fit(pd.DataFrame({"code": code.astype(str)}), liked.astype(float))
    every = pd.DataFrame({"code": [str(c) for c in range(n_codes)]})
    rate = np.clip(encoder.transform(every)["code"].to_numpy(float), 1e-4, 1 - 1e-4)
    mean = np.clip(liked.mean(), 1e-4, 1 - 1e-4)
    return np.log(rate / (1 - rate)) - np.log(mean / (1 - mean))
