"""What is learned for a while: segments and encodings once, groups, factors and weights by era."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.factors import Factors
from feedrank.places import Place, read_array
from feedrank.posts import PostGroups

GROUP_ARRAYS = ("log_gate", "rate", "cluster")
FACTOR_ARRAYS = ("post", "rate")


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
class Era:
    """What was learned from everything before a step, and holds from it until the next era.

    Attributes:
        first_step: of the era.
        groups: of posts.
        factors: of posts.
        strengths: prior weights.
    """

    first_step: int
    groups: PostGroups
    factors: Factors
    strengths: Strengths


@dataclass(frozen=True)
class Encodings:
    """All that pass 2, the replay and the service read besides counts.

    Attributes:
        step_seconds: length of a step.
        half_life_steps: of the recent counts.
        segment_column: the profile column that splits users into segments; -1 for one segment.
        column_codes: number of codes of each profile column.
        topic: code of each post's topic, shape (n_posts,).
        encoded: log-odds of liking by code of each profile column, then by hour of the day,
            against the average; from `category_encoders`.
        eras: in the order of time; the first one also holds before it begins.
    """

    step_seconds: int
    half_life_steps: float
    segment_column: int
    column_names: tuple[str, ...]
    column_codes: tuple[int, ...]
    topic: np.ndarray
    encoded: tuple[np.ndarray, ...]
    eras: tuple[Era, ...]

    def era_number(self, step: int) -> int:
        """Place, within `eras`, of the one that a step belongs to."""
        return max(bisect_right([era.first_step for era in self.eras], step) - 1, 0)

    def era(self, step: int) -> Era:
        """The era that a step belongs to."""
        return self.eras[self.era_number(step)]

    @property
    def n_segments(self) -> int:
        """Segments of users."""
        return 1 if self.segment_column < 0 else self.column_codes[self.segment_column]

    @property
    def n_groups(self) -> int:
        """Groups of posts."""
        return self.eras[0].groups.rate.shape[1]

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

    @property
    def n_column_keys(self) -> int:
        """Cells of profile code, segment and group."""
        return int(self.column_offsets[-1]) * self.n_segments * self.n_groups

    def segment(self, codes: np.ndarray) -> np.ndarray:
        """Segment of users with these profile codes, int64, shape (n_users,)."""
        if self.segment_column < 0:
            return np.zeros(len(codes), dtype=np.int64)
        return codes[:, self.segment_column].astype(np.int64)

    def save(self, directory: Path) -> None:
        """Write `encodings.json` and `encodings_*.npy`."""
        values = {
            "step_seconds": self.step_seconds,
            "half_life_steps": self.half_life_steps,
            "segment_column": self.segment_column,
            "column_names": list(self.column_names),
            "column_codes": list(self.column_codes),
            "eras": [
                {
                    "first_step": era.first_step,
                    "quality_strength": era.groups.strength,
                    "tastes": era.groups.tastes,
                    "strengths": vars(era.strengths),
                }
                for era in self.eras
            ],
        }
        text = json.dumps(values, indent=2, sort_keys=True)
        (directory / "encodings.json").write_text(text + "\n")
        arrays = {"topic": self.topic}
        arrays.update({f"encoded_{i}": table for i, table in enumerate(self.encoded)})
        for number, era in enumerate(self.eras):
            for name in GROUP_ARRAYS:
                arrays[f"{name}_{number}"] = getattr(era.groups, name)
            for name in FACTOR_ARRAYS:
                arrays[f"factor_{name}_{number}"] = getattr(era.factors, name)
        for name, array in arrays.items():
            np.save(directory / f"encodings_{name}.npy", array)

    @classmethod
    def load(cls, place: Place) -> Encodings:
        """What `save` wrote."""
        values: dict[str, Any] = json.loads((place / "encodings.json").read_text())

        def array(name: str) -> np.ndarray:
            return np.array(read_array(place / f"encodings_{name}.npy"))

        def era(number: int, about: dict[str, Any]) -> Era:
            log_gate, rate, cluster = (array(f"{name}_{number}") for name in GROUP_ARRAYS)
            strengths = {**about["strengths"], "columns": tuple(about["strengths"]["columns"])}
            weights = (about["quality_strength"], about["tastes"])
            groups = PostGroups(log_gate, rate, weights[0], cluster, weights[1])
            factors = Factors(*(array(f"factor_{name}_{number}") for name in FACTOR_ARRAYS))
            return Era(about["first_step"], groups, factors, Strengths(**strengths))

        return cls(
            values["step_seconds"],
            values["half_life_steps"],
            values["segment_column"],
            tuple(values["column_names"]),
            tuple(values["column_codes"]),
            array("topic"),
            tuple(array(f"encoded_{i}") for i in range(len(values["column_codes"]) + 1)),
            tuple(era(number, about) for number, about in enumerate(values["eras"])),
        )
