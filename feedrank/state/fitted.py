"""Fitted parameters: of the warm-up, and by refit clusters, factors and prior strengths."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.io.arrays import Place, read_array
from feedrank.state.catalogue import Texts
from feedrank.state.counts.tally import Tally
from feedrank.state.plugins.plugins import Plugins
from feedrank.state.posts.embedding_axes import NO_AXES, EmbeddingAxes
from feedrank.state.posts.refit import Refit
from feedrank.state.posts.vocabulary import Vocabulary

NAMES = ("column_names", "column_codes", "moment_names")
PLAIN = ("step_seconds", "half_life_steps", "segment_column", "segments_since", *NAMES)


@dataclass(frozen=True)
class Split:
    """Halves of a profile column's codes, by which each segment is split into two.

    Attributes:
        column: the profile column, which is not the segment column, nor that of another split.
        half: 0 or 1 of each code, both of some.
    """

    column: int
    half: tuple[int, ...]


@dataclass(frozen=True)
class WarmupParameters:
    """Parameters fitted once, on the warm-up days; later refits may find segments.

    Attributes:
        step_seconds: length of a step.
        half_life_steps: of the recent counts.
        segment_column: the profile column that splits users into segments; -1 for one segment.
        segments_since: first step that knows of them, that of the refit which found them.
        segment_splits: of the segments of that column, by further ones.
        column_names: of the profile columns.
        column_codes: number of codes of each profile column.
        moment_names: of the users' moments.
        topic: code of each post's topic, shape (n_posts,).
        encoded: target encodings: log-odds of liking, relative to the average, by code of each
            profile column, then by hour of the day.
        plugins: own features, and the columns of posts that they read.
    """

    step_seconds: int
    half_life_steps: float
    segment_column: int
    segments_since: int
    segment_splits: tuple[Split, ...]
    column_names: tuple[str, ...]
    column_codes: tuple[int, ...]
    moment_names: tuple[str, ...]
    topic: np.ndarray
    encoded: tuple[np.ndarray, ...]
    plugins: Plugins

    @property
    def n_segments(self) -> int:
        """Segments of users, once they are found."""
        if self.segment_column < 0:
            return 1
        return int(self.column_codes[self.segment_column]) << len(self.segment_splits)

    @property
    def segment_columns(self) -> tuple[int, ...]:
        """Profile columns that tell segments, the one that splits most first."""
        splits = tuple(split.column for split in self.segment_splits)
        return () if self.segment_column < 0 else (self.segment_column, *splits)

    @property
    def encoded_hour(self) -> np.ndarray:
        """Log-odds of liking, relative to the average, by hour of the day, shape (24,)."""
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
        """First code of each profile column when all are laid end to end, (n_columns + 1,)."""
        return np.concatenate([[0], np.cumsum(self.column_codes)]).astype(np.int64)

    def knowing(self, step: int) -> WarmupParameters:
        """The same with the segments that a step knows of: one, until a column is found."""
        if step >= self.segments_since:
            return self
        return replace(self, segment_column=-1, segments_since=0, segment_splits=())

    def by_segment(self, counts: Tally, step: int) -> Tally:
        """Counts of the segments that a step knows of, shape (n_segments, n_posts).

        Args:
            counts: key (segment, post), by the segments that are found at last.
            step: that the counts are for.
        """
        return counts.reshape(self.n_segments, -1).merged(self.knowing(step).n_segments)

    def segment(self, codes: np.ndarray) -> np.ndarray:
        """Segment of users with these profile codes, int64, shape (n_users,)."""
        if self.segment_column < 0:
            return np.zeros(len(codes), dtype=np.int64)
        segment = codes[:, self.segment_column].astype(np.int64)
        for split in self.segment_splits:
            segment = 2 * segment + np.array(split.half)[codes[:, split.column]]
        return segment

    def codes_of_segments(self) -> np.ndarray:
        """Profile codes of a user of each segment, int64, shape (n_segments, n_columns)."""
        codes = np.zeros((self.n_segments, len(self.column_codes)), np.int64)
        segment = np.arange(self.n_segments)
        for split in reversed(self.segment_splits):
            of_half = np.array([split.half.index(0), split.half.index(1)])
            codes[:, split.column] = of_half[segment % 2]
            segment = segment // 2
        if self.segment_column >= 0:
            codes[:, self.segment_column] = segment
        return codes

    def column_keys(self, codes: np.ndarray, cluster: np.ndarray, n_clusters: int) -> np.ndarray:
        """Cell of (profile code end to end, segment, cluster) of each row and profile column.

        Args:
            codes: profile codes of the row's user, shape (n, n_columns).
            cluster: of the row's post, shape (n,).
            n_clusters: number of clusters.
        """
        cell = self.segment(codes) * n_clusters + cluster
        code = self.column_offsets[:-1] + codes.astype(np.int64)
        return np.asarray(code * (self.n_segments * n_clusters) + cell[:, None])

    def n_column_keys(self, n_clusters: int) -> int:
        """Cells of profile code, segment and cluster."""
        return int(self.column_offsets[-1]) * self.n_segments * n_clusters


@dataclass(frozen=True)
class FittedParameters(WarmupParameters):
    """All fitted parameters: those of the warm-up, and the refits.

    Attributes:
        refits: in order of time; the first also holds before its first step.
        vocabulary: of texts, for posts that come later.
        n_later_posts: of the posts, the last so many came after the fit.
    """

    refits: tuple[Refit, ...]
    vocabulary: Vocabulary
    n_later_posts: int = 0

    @property
    def has_topics(self) -> bool:
        """Whether the posts that the parameters were fitted on are of several topics."""
        return self.vocabulary.n_topics > 1

    @property
    def n_fitted_posts(self) -> int:
        """Posts of the log that the parameters were fitted on."""
        return self.n_posts - self.n_later_posts

    def refit_number(self, step: int) -> int:
        """Index, within `refits`, of the refit that a step belongs to."""
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
        values = {name: getattr(self, name) for name in PLAIN}
        values["segment_splits"] = [vars(split) for split in self.segment_splits]
        values["plugins"] = self.plugins.about()
        self.plugins.save(directory)
        values["refits"] = [refit.about() for refit in self.refits]
        text = json.dumps(values, indent=2, sort_keys=True)
        (directory / "fitted.json").write_text(text + "\n")
        arrays = {"topic": self.topic}
        arrays.update({f"encoded_{i}": table for i, table in enumerate(self.encoded)})
        for number, refit in enumerate(self.refits):
            arrays.update({f"{name}_{number}": array for name, array in refit.arrays().items()})
        arrays["idf"] = self.vocabulary.idf
        if self.vocabulary.n_axes:
            axes = vars(self.vocabulary.axes)
            arrays.update({f"embedding_{name}": array for name, array in axes.items()})
        Texts.of(list(self.vocabulary.words)).save(directory, "fitted_words")
        for name, array in arrays.items():
            np.save(directory / f"fitted_{name}.npy", array)

    @classmethod
    def load(cls, place: Place) -> FittedParameters:
        """Parameters that `save` wrote."""
        values: dict[str, Any] = json.loads((place / "fitted.json").read_text())

        def array(name: str) -> np.ndarray:
            return np.array(read_array(place / f"fitted_{name}.npy"))

        def of_refit(number: int, about: dict[str, Any]) -> Refit:
            tells_quality = (place / f"fitted_text_quality_{number}.npy").exists()
            return Refit.of(about, lambda name: array(f"{name}_{number}"), tells_quality)

        refits = tuple(of_refit(*numbered) for numbered in enumerate(values.pop("refits")))
        columns: Any = {name: tuple(values.pop(name)) for name in NAMES}
        encoded = tuple(array(f"encoded_{i}") for i in range(len(columns["column_codes"]) + 1))
        topic, idf, words = array("topic"), array("idf"), Texts.load(place, "fitted_words")
        names = tuple(words[row] for row in range(len(idf)))
        axes = NO_AXES
        if (place / "fitted_embedding_axes.npy").exists():
            axes = EmbeddingAxes(array("embedding_mean"), array("embedding_axes"))
        vocabulary = Vocabulary(int(topic.max(initial=0)) + 1, names, idf, axes)
        plugins = Plugins.load(place, values.pop("plugins"))
        splits = values.pop("segment_splits")
        fixed: Any = {"topic": topic, "encoded": encoded, "plugins": plugins}
        fixed["segment_splits"] = tuple(Split(s["column"], tuple(s["half"])) for s in splits)
        return cls(**values, **columns, **fixed, refits=refits, vocabulary=vocabulary)
