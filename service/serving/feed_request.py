"""Feed request: user, moment, length of the list, posts that it may choose from; and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from feedrank.ranking.explanations import Reasons, explain
from feedrank.ranking.recommender import Ranked
from feedrank.state.catalogue import Id, plain_ids
from feedrank.state.feature_store import FeatureStore
from service.serving.model_slot import LoadedArtifact


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
    """A request for the list of a user at a moment.

    Attributes:
        user_id: as in the database.
        at: moment; a naive one is on the log's clock.
        limit: length of the list.
        restriction: posts that it may choose from.
        is_seen: whether anybody gets the list; the answer to a HEAD has none.
    """

    user_id: Id
    at: datetime
    limit: int
    restriction: Restriction = UNRESTRICTED
    is_seen: bool = True


@dataclass(frozen=True)
class Answer:
    """A list, with the one artifact that made all of it.

    Attributes:
        request: that is answered.
        loaded: artifact that answered.
        user: row of the catalogue, or `NOBODY`.
        at: seconds since the log's origin.
        ranked: the list.
    """

    request: FeedRequest
    loaded: LoadedArtifact
    user: int
    at: int
    ranked: Ranked

    @property
    def known_until(self) -> datetime:
        """The moment before which the log was used; it never lies outside the log."""
        artifact = self.loaded.artifact
        seconds = artifact.store.fitted.step_seconds
        return artifact.store.meta.moment(artifact.recommender.step(self.at) * seconds)

    def posts(self) -> list[dict[str, Any]]:
        """Id, text and topic of each post, best first."""
        return [post_content(self.loaded.artifact.store, row) for row in self.ranked.post.tolist()]

    def reasons(self) -> Reasons:
        """Contribution of each feature to each post's probability."""
        return explain(self.loaded.artifact.recommender, self.user, self.at, self.ranked)


def post_content(store: FeatureStore, row: int) -> dict[str, Any]:
    """Id, text and topic of one post."""
    (post_id,) = plain_ids(store.catalogue.post_ids[row : row + 1])
    return {"id": post_id, "text": store.text[row], "topic": store.topic[row]}
