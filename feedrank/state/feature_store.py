"""Feature store: point-in-time state of users and posts, as one directory of plain files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from feedrank.io.arrays import Place
from feedrank.log.metadata import LogMeta
from feedrank.state.catalogue import Catalogue, Texts
from feedrank.state.counts.by_step import StepCounts
from feedrank.state.fitted import FittedParameters
from feedrank.state.history import History
from feedrank.state.profiles import ProfileColumn, columns_from
from feedrank.state.shared import SharedCounts, SharedHistory


@dataclass(frozen=True)
class FeatureStore:
    """State of users and posts as of any step of a log.

    Attributes:
        meta: of the log.
        catalogue: users and posts.
        columns: the coding of profile columns.
        text: of each post.
        topic: of each post, in words.
        fitted: parameters.
        shared: counts over time.
        history: of each user.
    """

    meta: LogMeta
    catalogue: Catalogue
    columns: tuple[ProfileColumn, ...]
    text: Texts
    topic: Texts
    fitted: FittedParameters
    shared: SharedCounts
    history: History

    @cached_property
    def states(self) -> SharedHistory:
        """Shared states by step; all recommenders of this store share them."""
        return SharedHistory(self.fitted, self.shared)

    def followed_by(
        self, since: int, n_log_steps: int, settles: bool, **changes: Any
    ) -> FeatureStore:
        """The store with changed attributes, and with the states that they leave as they were.

        Args:
            since: first step that has a changed row.
            n_log_steps: of the log that is followed.
            settles: whether changed states are used until `states.settle()`.
            changes: by attribute.
        """
        new = replace(self, **changes)
        states = self.states.followed_by(new.fitted, new.shared, since, n_log_steps, settles)
        vars(new)["states"] = states  # where `cached_property` keeps it
        return new

    def save(self, directory: Path) -> None:
        """Write all files into an existing directory."""
        about = {"meta": self.meta.as_json(), "columns": [asdict(c) for c in self.columns]}
        text = json.dumps(about, indent=2, sort_keys=True)
        (directory / "feature_store.json").write_text(text + "\n")
        self.catalogue.save(directory)
        self.text.save(directory, "text")
        self.topic.save(directory, "topic")
        self.fitted.save(directory)
        self.shared.by_post.save(directory, "by_post")
        for number, counts in enumerate(self.shared.by_column):
            counts.save(directory, f"by_column_{number}")
        for number, counts in enumerate(self.shared.by_key):
            counts.save(directory, f"by_key_{number}")
        self.history.save(directory)

    @classmethod
    def load(cls, place: Place) -> FeatureStore:
        """A store that `save` wrote; from a directory, large arrays are memory-mapped."""
        about = json.loads((place / "feature_store.json").read_text())
        fitted = FittedParameters.load(place)
        n_by_post = fitted.n_segments * fitted.n_posts
        known = (fitted.knowing(refit.first_step) for refit in fitted.refits)
        n_by_column = (of_refit.n_column_keys(fitted.n_clusters) for of_refit in known)
        by_column = (
            StepCounts.load(place, f"by_column_{number}", n_keys)
            for number, n_keys in enumerate(n_by_column)
        )
        by_key = (
            StepCounts.load(place, f"by_key_{number}", count.n_keys)
            for number, count in enumerate(fitted.plugins.counts.values())
        )
        by_post = StepCounts.load(place, "by_post", n_by_post)
        return cls(
            LogMeta(**about["meta"]),
            Catalogue.load(place),
            columns_from(about["columns"]),
            Texts.load(place, "text"),
            Texts.load(place, "topic"),
            fitted,
            SharedCounts(by_post, tuple(by_column), tuple(by_key)),
            History.load(place),
        )
