"""Everything that was learned from a log but the ranker, as one directory of plain files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from feedrank.counts import StepCounts
from feedrank.encodings import Encodings
from feedrank.features import Feature, features_of
from feedrank.history import History
from feedrank.meta import LogMeta
from feedrank.places import Place, read_array
from feedrank.profiles import ProfileColumn, columns_from
from feedrank.ranker import Ranker
from feedrank.recommender import Catalogue, Recommender
from feedrank.state import SharedCounts, SharedHistory


class Rules(Protocol):
    """How lists are made, as group `export` of `params.yaml` says it."""

    @property
    def candidates(self) -> int:
        """Posts kept by the first score, then ranked."""

    @property
    def exclude(self) -> str:
        """'nothing', 'liked' or 'seen': what a user is not shown again."""


@dataclass(frozen=True)
class Texts:
    """Texts laid end to end, so that one is read without touching the others.

    Attributes:
        blob: UTF-8, uint8, shape (n_bytes,).
        offsets: where each text begins, int64, shape (n + 1,).
    """

    blob: np.ndarray
    offsets: np.ndarray

    def __getitem__(self, row: int) -> str:
        first, last = int(self.offsets[row]), int(self.offsets[row + 1])
        return self.blob[first:last].tobytes().decode()

    @classmethod
    def of(cls, texts: list[str]) -> Texts:
        """Lay texts end to end."""
        encoded = [t.encode() for t in texts]
        offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def save(self, directory: Path, name: str) -> None:
        """Write `<name>_{blob,offsets}.npy`."""
        np.save(directory / f"{name}_blob.npy", self.blob)
        np.save(directory / f"{name}_offsets.npy", self.offsets)

    @classmethod
    def load(cls, place: Place, name: str) -> Texts:
        """What `save` wrote."""
        return cls(*(read_array(place / f"{name}_{part}.npy") for part in ("blob", "offsets")))


@dataclass(frozen=True)
class Knowledge:
    """What the features stage learned from a log.

    Attributes:
        meta: of the log.
        catalogue: users and posts.
        columns: the coding of profile columns.
        text: of each post.
        topic: of each post, in words.
        encodings: learned once, on the warm-up.
        shared: counts over time.
        history: of each user.
    """

    meta: LogMeta
    catalogue: Catalogue
    columns: tuple[ProfileColumn, ...]
    text: Texts
    topic: Texts
    encodings: Encodings
    shared: SharedCounts
    history: History

    @property
    def features(self) -> tuple[Feature, ...]:
        """The ordered spec of the matrix."""
        return features_of(self.encodings)

    @cached_property
    def states(self) -> SharedHistory:
        """Shared states by step; all recommenders of this knowledge derive each but once."""
        return SharedHistory(self.encodings, self.shared)

    def recommender(self, ranker: Ranker, rules: Rules, as_of: int | None = None) -> Recommender:
        """The scoring path over this knowledge; `as_of` in seconds since the log's origin."""
        return Recommender(
            self.catalogue,
            self.history,
            self.states,
            ranker,
            self.meta,
            rules.candidates,
            rules.exclude,
            as_of,
        )

    def save(self, directory: Path) -> None:
        """Write everything into an existing directory."""
        about = {"meta": asdict(self.meta), "columns": [asdict(c) for c in self.columns]}
        text = json.dumps(about, indent=2, sort_keys=True)
        (directory / "knowledge.json").write_text(text + "\n")
        for name, array in vars(self.catalogue).items():
            np.save(directory / f"catalogue_{name}.npy", array)
        self.text.save(directory, "text")
        self.topic.save(directory, "topic")
        self.encodings.save(directory)
        self.shared.by_post.save(directory, "by_post")
        for number, counts in enumerate(self.shared.by_column):
            counts.save(directory, f"by_column_{number}")
        self.history.save(directory)

    @classmethod
    def load(cls, place: Place) -> Knowledge:
        """What `save` wrote; from a directory, large arrays are memory-mapped."""
        about = json.loads((place / "knowledge.json").read_text())
        encodings = Encodings.load(place)
        catalogue = Catalogue(
            *(
                read_array(place / f"catalogue_{name}.npy")
                for name in Catalogue.__dataclass_fields__
            )
        )
        return cls(
            LogMeta(**about["meta"]),
            catalogue,
            columns_from(about["columns"]),
            Texts.load(place, "text"),
            Texts.load(place, "topic"),
            encodings,
            SharedCounts(
                StepCounts.load(place, "by_post", encodings.n_segments * encodings.n_posts),
                tuple(
                    StepCounts.load(place, f"by_column_{number}", encodings.n_column_keys)
                    for number in range(len(encodings.eras))
                ),
            ),
            History.load(place),
        )
