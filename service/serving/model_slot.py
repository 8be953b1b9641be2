"""Model slot: the artifact of one arm, polled for a newer one and hot-swapped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import MANIFEST, version_of
from feedrank.artifact.proof import UnprovedError
from feedrank.errors import ArtifactError, FeedrankError
from feedrank.live.delta_log import DeltaLogError
from feedrank.log.exposures import Arm
from service.links import next_path
from service.live.tail import OpenLog, Tail
from service.monitoring import metrics
from service.monitoring.drift import Drift
from service.server.clock import Clock, system_clock
from service.serving.cache_warmup import warm_up

logger = logging.getLogger("feedrank.service")
FIRST_WAIT, LAST_WAIT = timedelta(seconds=5), timedelta(minutes=10)  # as another job may last
AHEAD = timedelta(seconds=2)  # the next step's state is derived before its first request
Identity = tuple[str, tuple[tuple[str, int, int, int], ...]]


@dataclass(frozen=True)
class LoadedArtifact:
    """An artifact that is loaded and checked.

    Attributes:
        arm: of the A/B test; control where there is none.
        version: of the artifact.
        artifact: that answered its golden requests as stored, brought forward by `tail`.
        loaded_at: by the clock, UTC.
        identity: of its files when it was loaded.
        drift: of its requests and answers.
        tail: reader of what came after the artifact.
    """

    arm: Arm
    version: str
    artifact: Artifact
    loaded_at: datetime
    identity: Identity
    drift: Drift
    tail: Tail

    def caught_up(self) -> LoadedArtifact:
        """With all that the delta log holds; the same if it holds nothing new."""
        if not self.tail.catch_up():
            return self
        return replace(self, artifact=self.artifact.with_store(self.tail.store))

    def prepare(self, now: datetime) -> None:
        """Derive the states that the next requests need, while others are answered."""
        meta, recommender = self.artifact.store.meta, self.artifact.recommender
        for moment in (now, now + AHEAD):
            recommender.store.states.as_of(recommender.step(meta.seconds(meta.local(moment))))


@dataclass(frozen=True)
class Refused:
    """An artifact that failed its checks, with the reason, and when it is tried again, if ever."""

    identity: Identity
    version: str
    reason: str
    again_at: datetime | None = None
    wait: timedelta = timedelta(0)


def identity_of(path: Path) -> Identity | None:
    """Real path, and name, inode, size and time of each file; None without a manifest.

    It takes about 0.1 ms, so a path can be polled twice a second.
    """
    directory = path.resolve()
    try:
        found = sorted((p.name, p.lstat()) for p in directory.iterdir())
    except OSError:
        return None
    if not any(name == MANIFEST for name, _ in found):
        return None
    return str(directory), tuple((n, s.st_ino, s.st_size, s.st_mtime_ns) for n, s in found)


class Slot:
    """The artifact of one arm.

    A new artifact is loaded and checked beside the running one, which answers until then. The hot
    swap is one assignment, and a request reads `current` once: none is dropped or sees both.

    Args:
        arm: of the A/B test.
        path: directory of the artifact, or a link to it.
        prove: raises `ArtifactError` for a new artifact that a process apart cannot load. The
            first one is not proved: where nothing is served yet, a crash ends nothing.
        clock: the time of day.
        open_log: gives the delta log that the artifact is brought forward by, if there is one.
    """

    def __init__(
        self,
        arm: Arm,
        path: Path,
        prove: Callable[[Path], None],
        clock: Clock = system_clock,
        open_log: OpenLog = lambda: None,
    ) -> None:
        self.arm: Arm = arm
        self.path = path
        self._prove = prove
        self._clock = clock
        self._open_log = open_log
        self.prepared: LoadedArtifact | None = None
        self.refused: Refused | None = None
        self.unfollowed: str | None = None  # why the delta log was not read the last time
        self._at_rest: set[Identity | None] = set()
        self.current = self._followed_if_possible(self._load(path))
        metrics.serves(arm, self.current.version, self.current.artifact.as_of_utc)

    def poll(self) -> bool:
        """Prepare the artifact of the link `<path>.next`, then serve the artifact of the path.

        Files that changed since the last poll may still be being copied: they are left alone.
        Returns whether the artifact was swapped.
        """
        before = self.current
        waiting = identity_of(next_path(self.path)) if next_path(self.path).is_symlink() else None
        if waiting is None:
            self.prepared = None
        elif self._is_new(waiting):
            self.prepared = self._try(next_path(self.path), waiting)
        wanted = identity_of(self.path)
        if wanted == self.current.identity:
            if self.refused is not None and self.refused.identity not in (wanted, waiting):
                self.refused = None
        elif wanted is not None and self._is_new(wanted):
            loaded = self._try(self.path, wanted)
            if loaded is not None:
                self._swap(loaded)
        self._at_rest = {waiting, wanted}
        return self.current is not before

    def follow(self) -> None:
        """Bring the artifact forward by what came since, in one assignment as a hot swap."""
        before = self.current
        followed = self._followed(before)
        if followed is not before:
            self.current = followed

    def settle(self) -> None:
        """Derive the shared states that rows have changed, beside the requests."""
        self.current.artifact.store.states.settle()

    def _followed(self, loaded: LoadedArtifact) -> LoadedArtifact:
        try:
            loaded = loaded.caught_up()
            loaded.prepare(self._clock())
        except Exception as error:
            self.unfollowed = str(error)
            raise
        self.unfollowed = None
        return loaded

    def _followed_if_possible(self, loaded: LoadedArtifact) -> LoadedArtifact:
        """As `_followed`; a damaged delta log stops no artifact, and each `follow` tells of it."""
        try:
            return self._followed(loaded)
        except DeltaLogError as error:
            logger.error("not followed", extra={"arm": self.arm, "reason": str(error)})
            return loaded

    def _is_new(self, identity: Identity) -> bool:
        if identity == self.current.identity:
            return False
        if self.refused is None or self.refused.identity != identity:
            return True
        return self.refused.again_at is not None and self.refused.again_at <= self._clock()

    def _try(self, path: Path, identity: Identity) -> LoadedArtifact | None:
        """A checked and warm artifact; None if its files still change, or if it is refused."""
        if self.prepared is not None and self.prepared.identity == identity:
            return self.prepared
        if identity not in self._at_rest:
            return None
        try:
            self._prove(path.resolve())
            loaded = self._load(path)
        except FeedrankError as error:
            self._refuse(identity, error)
            return None
        warm_up(loaded.artifact)
        return loaded

    def _load(self, path: Path) -> LoadedArtifact:
        """Load and check the directory that a link names now."""
        identity = identity_of(path)
        if identity is None:
            raise ArtifactError(
                f"'{path}' holds no artifact ('{MANIFEST}' is missing). Make one with `dvc repro` "
                "or fetch one with `dvc pull`, and let `python -m service.deploy models/artifact` "
                "check it and make this link; or set FEEDRANK_ARTIFACT to a directory that holds "
                "one."
            )
        artifact = Artifact.load(Path(identity[0]))
        drift = Drift(self.arm, artifact)
        tail = Tail(artifact.store, artifact.like_window, self._open_log)
        return LoadedArtifact(
            self.arm, artifact.version, artifact, self._clock(), identity, drift, tail
        )

    def _swap(self, loaded: LoadedArtifact) -> None:
        loaded = self._followed_if_possible(loaded)
        old, self.current = self.current.version, loaded
        self.refused = None
        metrics.swapped(self.arm, old)
        metrics.serves(self.arm, loaded.version, loaded.artifact.as_of_utc)
        logger.info("swapped", extra={"arm": self.arm, "from": old, "to": loaded.version})

    def _refuse(self, identity: Identity, error: FeedrankError) -> None:
        if identity_of(Path(identity[0])) != identity:
            return  # its files changed meanwhile: a later poll tells
        try:
            version = version_of(Path(identity[0]))
        except ArtifactError:
            version = "unreadable"
        wait = timedelta(0)
        if isinstance(error, UnprovedError):
            if self.refused is not None and self.refused.identity == identity:
                wait = self.refused.wait
            wait = min(max(2 * wait, FIRST_WAIT), LAST_WAIT)
        again_at = self._clock() + wait if wait else None
        self.refused = Refused(identity, version, str(error), again_at, wait)
        metrics.REFUSALS.labels(self.arm).inc()
        extra = {"arm": self.arm, "still": self.current.version, "reason": str(error)}
        logger.error("refused", extra=extra)
