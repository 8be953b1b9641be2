"""Inference: one list for one request, from the artifact of the user's arm."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.artifact.proof import prove_once
from feedrank.errors import FeedrankError
from feedrank.live.events import Happened
from feedrank.log.exposures import EARLIEST, LATEST, Arm, Exposure
from feedrank.log.metadata import LogMeta
from feedrank.ranking.explanations import Reasons
from feedrank.ranking.recommender import UnknownUserError
from feedrank.state.catalogue import NOBODY, Catalogue, Id, are_text, plain_ids
from service.ab.assignment import Assignment
from service.ab.exposure_log import ExposureLog
from service.follower.status import FollowerStatus
from service.live.hidden_file import HiddenFile
from service.live.open_log import OpenLog
from service.live.retention import drop_held
from service.monitoring import metrics
from service.server.clock import Clock, system_clock
from service.serving.feed_request import Answer, FeedRequest
from service.serving.limiter import Limiter
from service.serving.model_slot import LoadedArtifact, Slot
from service.settings import Settings

logger = logging.getLogger("feedrank.service")
BLOCK_USERS = 16  # whose lists take 4 ms, for which other requests wait


class Inference:
    """Answers from one artifact, or from the two of an A/B test.

    Raises:
        ArtifactError: an artifact is missing or fails its checks.
    """

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.limiter = Limiter(settings.max_waiting)
        self.deltas = OpenLog(settings.state, settings.artifact)
        prove = partial(prove_once, state=settings.state)
        paths: dict[Arm, Path | None] = {
            "control": settings.artifact,
            "test": settings.test_artifact,
        }
        self.slots = {
            arm: Slot(arm, path, prove, clock, self.deltas.to_read)
            for arm, path in paths.items()
            if path is not None
        }
        test_share = settings.test_share if "test" in self.slots else 0.0
        self.assignment = Assignment(settings.assignment_salt, test_share)
        self.hidden_file: HiddenFile | None = None
        if settings.hidden_posts is not None:
            is_text = are_text(self.catalogue.post_ids)
            self.hidden_file = HiddenFile(settings.hidden_posts, lambda: self.deltas.log, is_text)
        self._warned = set[str]()
        self.exposures: ExposureLog | None = None
        if settings.exposures is not None:
            self.exposures = ExposureLog(settings.exposures, clock=clock)

    @property
    def catalogue(self) -> Catalogue:
        """Users and posts of the arm control, whose ids are of the same kinds in any arm."""
        return self.slots["control"].current.artifact.store.catalogue

    @property
    def embedding_width(self) -> int:
        """Numbers of an embedding of the arm control; 0 where posts have none."""
        return len(self.slots["control"].current.artifact.store.fitted.vocabulary.axes.mean)

    @property
    def meta(self) -> LogMeta:
        """Of the log of the arm control, whose clock all arms share."""
        return self.slots["control"].current.artifact.store.meta

    def append(self, happened: Happened) -> int:
        """Append to the delta log, durable on return; how many events are new.

        Raises:
            FeedrankError: it cannot be written; or it could not be read the last time, so that what
                is appended would act nowhere.
        """
        for slot in self.slots.values():
            if slot.unfollowed is not None:
                raise FeedrankError(f"nothing was taken, since nobody reads it: {slot.unfollowed}")
        return self.deltas.log.append(happened)

    def drop_held(self) -> None:
        """Drop what all artifacts hold that are served, or that a rollback takes."""
        log = self.deltas.to_read()
        if log is not None:
            drop_held(log, [slot.path for slot in self.slots.values()])

    def followed(self) -> dict[str, Any] | None:
        """How far the follower of the database has come; None if none is followed."""
        status = FollowerStatus.read(self.deltas.path)
        if status is None:
            return None
        return {
            "behind_seconds": status.behind_seconds(),
            "events": status.n_events,
            "error": status.error,
        }

    def artifact_for(self, user_id: Id) -> LoadedArtifact:
        """The artifact that answers this user."""
        return self.slots[self.assignment.arm(user_id)].current

    async def serve(self, request: FeedRequest) -> Answer:
        """The list of a request, counted and logged as an exposure if somebody sees it.

        Raises:
            BusyError: too many requests are open.
            UnknownUserError: nobody of this id is in the catalogue.
        """
        async with self.limiter.admit():
            answer = self.answer(request)
            if request.is_seen:
                self._record(answer)
        return answer

    async def explain(self, request: FeedRequest, arm: Arm | None = None) -> tuple[Answer, Reasons]:
        """The list of a request with its reasons, which is no exposure; raises as `serve`.

        A named arm answers in place of the user's own.
        """
        async with self.limiter.admit():
            answer = self.answer(request, arm)
            return answer, answer.reasons()

    def answer(self, request: FeedRequest, arm: Arm | None = None) -> Answer:
        """The list of a request; raises `UnknownUserError`."""
        slot = self.slots[arm or self.assignment.arm(request.user_id)]
        found = self._answers(slot.current, [request])
        if not found:
            raise UnknownUserError(request.user_id)
        return found[0]

    async def serve_many(self, requests: Sequence[FeedRequest]) -> list[Answer]:
        """Lists of requests that differ by their user alone, in blocks; refused users have none.

        Other requests are answered between two blocks. Raises `BusyError`.
        """
        with self.limiter.opened():
            of_arm = {arm: slot.current for arm, slot in self.slots.items()}
            found = []
            for arm, loaded in of_arm.items():
                own = [r for r in requests if self.assignment.arm(r.user_id) == arm]
                for first in range(0, len(own), BLOCK_USERS):
                    async with self.limiter.turn():
                        found += self._answers(loaded, own[first : first + BLOCK_USERS])
            for answer in found:
                self._record(answer)
        return found

    def _answers(self, loaded: LoadedArtifact, requests: Sequence[FeedRequest]) -> list[Answer]:
        """Lists of one artifact for requests that differ by their user, without refused users."""
        store = loaded.artifact.store
        users = [store.catalogue.user(request.user_id) for request in requests]
        known = [
            (request, user)
            for request, user in zip(requests, users, strict=True)
            if user != NOBODY or loaded.artifact.answers_unknown
        ]
        if not known:
            return []
        moment = store.meta.local(requests[0].at)
        at, limit = store.meta.seconds(moment), requests[0].limit
        step, restriction = loaded.artifact.recommender.step(at), requests[0].restriction
        posts = shown = restriction.posts(store, at)
        if posts is not None and restriction.candidates is None:
            shown = store.states.candidates_among(posts, step, limit)
        rows = np.array([user for _, user in known])
        lists = loaded.artifact.explorer.rank_many(rows, at, limit, shown, posts)
        return [
            Answer(replace(request, at=moment), loaded, user, at, ranked)
            for (request, user), ranked in zip(known, lists, strict=True)
        ]

    def publish(self) -> None:
        """Update the metrics of load and drift."""
        metrics.WAITING.set(self.limiter.n_open)
        metrics.follows(self.followed())
        for slot in self.slots.values():
            loaded = slot.current
            loaded.drift.publish(loaded.artifact.store.meta.n_posts)

    def close(self) -> None:
        """Write the exposures that still wait, and close the delta log."""
        self.deltas.close()
        if self.exposures is not None:
            self.exposures.close()

    def _record(self, answer: Answer) -> None:
        request, loaded, ranked = answer.request, answer.loaded, answer.ranked
        metrics.RECOMMENDED.labels(loaded.arm).inc()
        metrics.CANDIDATES.observe(ranked.n_ranked)
        if answer.user != NOBODY:
            loaded.drift.observe(loaded.artifact.store.catalogue.codes[answer.user], ranked)
        if self.exposures is None:
            self._warn_of_lost_propensities(answer)
        elif EARLIEST <= request.at <= LATEST:
            exposure = Exposure(
                request.user_id,
                request.at,
                loaded.arm,
                self.assignment.probability(loaded.arm),
                loaded.version,
                plain_ids(loaded.artifact.store.catalogue.post_ids[ranked.post]),
                ranked.probability.tolist(),
                ranked.propensity.tolist(),
                loaded.artifact.explorer.share,
            )
            self.exposures.append(exposure)

    def _warn_of_lost_propensities(self, answer: Answer) -> None:
        """Once an artifact: what it explores without an exposure log is lost to the next build."""
        version = answer.loaded.version
        if answer.loaded.artifact.explorer.share and version not in self._warned:
            self._warned.add(version)
            logger.warning(
                "Places of lists explore, but no exposure log keeps their propensities. Set "
                "FEEDRANK_EXPOSURES, or export with 'explore: 0'."
            )
