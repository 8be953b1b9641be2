"""Feed request: user, moment, length of the list, and the posts that it may choose from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from feedrank.state.catalogue import Id
from feedrank.state.feature_store import FeatureStore


@dataclass(frozen=True)
class Restriction:
    """Posts that one request may choose from; by default all that are not hidden.

    Attributes:
        exclude: posts that are not listed; unknown ids are ignored.
        topics: of which a post must have one; empty for any.
        candidates: to which the list is confined, unknown ids left out; None for all posts.
    """

    exclude: tuple[Id, ...] = ()
    topics: tuple[str, ...] = ()
    candidates: tuple[Id, ...] | None = None

    def posts(self, store: FeatureStore, at: int) -> np.ndarray | None:
        """Rows of the posts that are not hidden at a second, sorted; None for no restriction."""
        if not (self.exclude or self.topics or self.candidates is not None):
            return None
        rows = store.catalogue.open_posts(at)
        if self.candidates is not None:
            rows = np.intersect1d(rows, store.catalogue.posts(self.candidates))
        if self.topics:
            of_topics = [store.topic.rows_of(topic) for topic in self.topics]
            rows = np.intersect1d(rows, np.concatenate(of_topics))
        return np.setdiff1d(rows, store.catalogue.posts(self.exclude), assume_unique=True)


UNRESTRICTED = Restriction()


@dataclass(frozen=True)
class FeedRequest:
    """A request: user, moment and length of the list; a naive moment is on the log's clock."""

    user_id: Id
    at: datetime
    limit: int
    restriction: Restriction = UNRESTRICTED
