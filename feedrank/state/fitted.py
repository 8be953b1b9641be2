"""What is learned for a while: segments and fitted once, clusters, factors and weights by refit."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.io.arrays import Place, read_array
from feedrank.state.clusters import PostClusters
from feedrank.state.factors import Factors

CLUSTER_ARRAYS = ("log_gate", "rate", "cluster")
FACTOR_ARRAYS = ("post", "rate")


@dataclass(frozen=True)
class Strengths:
    """Prior strengths in expected likes (`feedrank.learning.prior_strengths` fits them).

    Attributes:
        user: of a user's propensity.
        user_cluster: of a user's interest in a cluster, beyond propensity.
        user_topic: of a user's interest in a topic, beyond propensity.
        segment_post: of a segment's interest in a post, beyond cluster and quality.
        trend: of a post's recent likes over its former ones.
        columns: of the interest of each profile column's codes in a cluster, beyond segments.
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
class Refit:
    """What was learned from everything before a step, and holds from it until the next refit.

    Attributes:
        first_step: of the refit.
        clusters: of posts.
        factors: of posts.
        strengths: prior weights.
    """

    first_step: int
    clusters: PostClusters
    factors: Factors
    strengths: Strengths


@dataclass(frozen=True)
class WarmupParameters:
    """What is fitted once, on the warm-up days, and holds for the whole log.

    Attributes:
        step_seconds: length of a step.
        half_life_steps: of the recent counts.
        segment_column: the profile column that splits users into segments; -1 for one segment.
        column_codes: number of codes of each profile column.
        topic: code of each post's topic, shape (n_posts,).
        encoded: log-odds of liking by code of each profile column, then by hour of the day,
            against the average; from `category_encoders`.
    """

    step_seconds: int
    half_life_steps: float
    segment_column: int
    column_names: tuple[str, ...]
    column_codes: tuple[int, ...]
    topic: np.ndarray
    encoded: tuple[np.ndarray, ...]

    @property
    def n_segments(self) -> int:
        """Segments of users."""
        return 1 if self.segment_column < 0 else self.column_codes[self.segment_column]

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

    def n_column_keys(self, n_clusters: int) -> int:
        """Cells of profile code, segment and cluster."""
        return int(self.column_offsets[-1]) * self.n_segments * n_clusters


@dataclass(frozen=True)
class FittedParameters(WarmupParameters):
    """Everything fitted: what holds for the whole log, and the refits.

    Attributes:
        refits: in the order of time; the first one also holds before its first step.
    """

    refits: tuple[Refit, ...]

    def refit_number(self, step: int) -> int:
        """Place, within `refits`, of the one that a step belongs to."""
        return max(bisect_right([refit.first_step for refit in self.refits], step) - 1, 0)

    def refit(self, step: int) -> Refit:
        """The refit that a step belongs to."""
        return self.refits[self.refit_number(step)]

    @property
    def n_clusters(self) -> int:
        """Clusters of posts."""
        return self.refits[0].clusters.rate.shape[1]

    def save(self, directory: Path) -> None:
        """Write `fitted.json` and `fitted_*.npy`."""
        values = {
            "step_seconds": self.step_seconds,
            "half_life_steps": self.half_life_steps,
            "segment_column": self.segment_column,
            "column_names": list(self.column_names),
            "column_codes": list(self.column_codes),
            "refits": [
                {
                    "first_step": refit.first_step,
                    "quality_strength": refit.clusters.strength,
                    "tastes": refit.clusters.tastes,
                    "strengths": vars(refit.strengths),
                }
                for refit in self.refits
            ],
        }
        text = json.dumps(values, indent=2, sort_keys=True)
        (directory / "fitted.json").write_text(text + "\n")
        arrays = {"topic": self.topic}
        arrays.update({f"encoded_{i}": table for i, table in enumerate(self.encoded)})
        for number, refit in enumerate(self.refits):
            for name in CLUSTER_ARRAYS:
                arrays[f"{name}_{number}"] = getattr(refit.clusters, name)
            for name in FACTOR_ARRAYS:
                arrays[f"factor_{name}_{number}"] = getattr(refit.factors, name)
        for name, array in arrays.items():
            np.save(directory / f"fitted_{name}.npy", array)

    @classmethod
    def load(cls, place: Place) -> FittedParameters:
        """What `save` wrote."""
        values: dict[str, Any] = json.loads((place / "fitted.json").read_text())

        def array(name: str) -> np.ndarray:
            return np.array(read_array(place / f"fitted_{name}.npy"))

        def refit(number: int, about: dict[str, Any]) -> Refit:
            log_gate, rate, cluster = (array(f"{name}_{number}") for name in CLUSTER_ARRAYS)
            strengths = {**about["strengths"], "columns": tuple(about["strengths"]["columns"])}
            weights = (about["quality_strength"], about["tastes"])
            clusters = PostClusters(log_gate, rate, weights[0], cluster, weights[1])
            factors = Factors(*(array(f"factor_{name}_{number}") for name in FACTOR_ARRAYS))
            return Refit(about["first_step"], clusters, factors, Strengths(**strengths))

        return cls(
            values["step_seconds"],
            values["half_life_steps"],
            values["segment_column"],
            tuple(values["column_names"]),
            tuple(values["column_codes"]),
            array("topic"),
            tuple(array(f"encoded_{i}") for i in range(len(values["column_codes"]) + 1)),
            tuple(refit(number, about) for number, about in enumerate(values["refits"])),
        )
