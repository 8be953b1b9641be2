"""Where requests are answered: the artifacts, who gets which, and what is noted of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from feedrank.ranking.recommender import Ranked, UnknownUserError
from service.ab.assignment import Group, Split
from service.ab.exposure_log import Exposures
from service.monitoring import metrics
from service.serving.limiter import Gate
from service.serving.model_slot import Model, Slot
from service.settings import Settings

Json = dict[str, object]


@dataclass(frozen=True)
class Asked:
    """A request: whose feed, as of when, how long."""

    user_id: int
    at: datetime
    limit: int


@dataclass(frozen=True)
class Answer:
    """A list, with the one model that made all of it.

    Attributes:
        model: that answered.
        user: row of the catalogue.
        at: seconds since the log's origin.
        ranked: the list.
    """

    model: Model
    user: int
    at: int
    ranked: Ranked

    @property
    def known_until(self) -> datetime:
        """Nothing of this moment or later is used: it never lies outside the log."""
        recommender = self.model.artifact.recommender
        seconds = self.model.artifact.store.fitted.step_seconds
        return recommender.meta.moment(recommender.step(self.at) * seconds)

    def posts(self) -> list[Json]:
        """Id, text and topic of each post, best first."""
        store = self.model.artifact.store
        ids = store.catalogue.post_ids
        return [
            {"id": int(ids[row]), "text": store.text[row], "topic": store.topic[row]}
            for row in self.ranked.post.tolist()
        ]


class Desk:
    """Answers from one artifact, or from two that are compared.

    Raises:
        ArtifactError: an artifact is missing or fails its checks.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings.max_waiting)
        is_compared = settings.test_artifact is not None
        self.split = Split(settings.split_salt, settings.test_share if is_compared else 0.0)
        self.slots: dict[Group, Slot] = {"control": Slot("control", settings.artifact)}
        if settings.test_artifact is not None:
            self.slots["test"] = Slot("test", settings.test_artifact)
        self.exposures = Exposures(settings.exposures) if settings.exposures else None

    def model_of(self, user_id: int) -> Model:
        """The model that answers this user."""
        return self.slots[self.split.group(user_id)].current

    def answer(self, asked: Asked) -> Answer:
        """The list of a request; raises `UnknownUserError`."""
        model = self.model_of(asked.user_id)
        artifact = model.artifact
        user = artifact.store.catalogue.user(asked.user_id)
        if user < 0:
            raise UnknownUserError(asked.user_id)
        at = artifact.recommender.meta.seconds(asked.at)
        return Answer(model, user, at, artifact.recommender.rank(user, at, asked.limit))

    def note(self, asked: Asked, answer: Answer) -> None:
        """Take note of a list that is about to be returned."""
        model, ranked = answer.model, answer.ranked
        metrics.RECOMMENDED.labels(model.group).inc()
        metrics.CANDIDATES.observe(ranked.n_ranked)
        model.drift.observe(answer.user, ranked)
        if self.exposures is not None:
            is_test = model.group == "test"
            share = self.split.test_share if is_test else 1 - self.split.test_share
            ids = model.artifact.store.catalogue.post_ids[ranked.post].tolist()
            self.exposures.note(
                asked.user_id,
                asked.at,
                model.group,
                share,
                model.version,
                ids,
                ranked.probability.tolist(),
            )

    def publish(self) -> None:
        """Bring the metrics of load and drift up to date."""
        metrics.WAITING.set(self.gate.n_inside)
        for slot in self.slots.values():
            slot.current.drift.publish()

    def close(self) -> None:
        """Finish what was noted."""
        if self.exposures is not None:
            self.exposures.close()
