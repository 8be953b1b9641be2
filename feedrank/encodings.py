"""What is learned once, on the warm-up days: segments, groups, encodings, prior weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.places import Place, read_array
from feedrank.posts import PostGroups


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
        """Write `encodings.json` and `encodings_*.npy`."""
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
        arrays.update({f"encoded_{i}": table for i, table in enumerate(self.encoded)})
        for name, array in arrays.items():
            np.save(directory / f"encodings_{name}.npy", array)

    @classmethod
    def load(cls, place: Place) -> Encodings:
        """What `save` wrote."""
        values: dict[str, Any] = json.loads((place / "encodings.json").read_text())

        def array(name: str) -> np.ndarray:
            return np.array(read_array(place / f"encodings_{name}.npy"))

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
            Strengths(**{**values["strengths"], "columns": tuple(values["strengths"]["columns"])}),
            tuple(array(f"encoded_{i}") for i in range(len(values["column_codes"]) + 1)),
        )
