"""One place for an artifact: what answers now, and what its path points to by now."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import MANIFEST
from feedrank.errors import ArtifactError, FeedrankError
from service.ab.assignment import Group
from service.monitoring.drift import Drift
from service.serving.cache_warmup import warm

logger = logging.getLogger("feedrank.service")
Identity = tuple[str, tuple[tuple[str, int, int, int], ...]]


@dataclass(frozen=True)
class Model:
    """A loaded and checked artifact that can answer.

    Attributes:
        group: of the comparison; control where there is none.
        version: the first twelve digits of its manifest's SHA-256, which covers every file.
        artifact: loaded, its golden requests answered as stored.
        loaded_at: by the clock, UTC.
        identity: of its files when it was loaded.
        drift: of what it is asked and answers.
    """

    group: Group
    version: str
    artifact: Artifact
    loaded_at: datetime
    identity: Identity
    drift: Drift


@dataclass(frozen=True)
class Refused:
    """An artifact that is not served, and why."""

    identity: Identity
    version: str
    reason: str


def version_of(directory: Path) -> str:
    """The short id of an artifact; two directories of equal content have the same."""
    path = directory / MANIFEST
    if not path.exists():
        raise ArtifactError(f"'{directory}' holds no artifact ('{MANIFEST}' is missing).")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def identity_of(path: Path) -> Identity | None:
    """What tells whether other files lie at a path by now; None while there is no manifest.

    A look costs about a tenth of a millisecond, so it can be taken twice a second.
    """
    directory = path.resolve()
    try:
        found = sorted((p.name, p.stat()) for p in directory.iterdir())
    except OSError:
        return None
    if not any(name == MANIFEST for name, _ in found):
        return None
    return str(directory), tuple((n, s.st_ino, s.st_size, s.st_mtime_ns) for n, s in found)


def next_path(path: Path) -> Path:
    """Where a link names the artifact that is to be loaded beside the running one."""
    return path.with_name(f"{path.name}.next")


class Slot:
    """The artifact of one group, watched.

    A new artifact is loaded and checked beside the running one, which answers until then. The
    swap is one assignment, and a request takes `current` once: none is dropped or sees both.

    Args:
        group: of the comparison.
        path: directory of the artifact, or a link to it.
    """

    def __init__(self, group: Group, path: Path) -> None:
        self.group: Group = group
        self.path = path
        self.current = self._load(path)
        self.prepared: Model | None = None
        self.refused: Refused | None = None
        self.n_swaps = self.n_refusals = 0
        self._still: set[Identity | None] = set()

    def look(self) -> None:
        """Prepare what the link `<path>.next` names, then serve what the path itself names.

        Files that changed since the last look may still be being copied: they are left alone.
        """
        waiting = identity_of(next_path(self.path)) if next_path(self.path).is_symlink() else None
        if waiting is None:
            self.prepared = None
        elif self._is_news(waiting):
            self.prepared = self._try(next_path(self.path), waiting)
        wanted = identity_of(self.path)
        if wanted == self.current.identity:
            self._forget(wanted, waiting)
        elif wanted is not None and self._is_news(wanted):
            model = self._try(self.path, wanted)
            if model is not None:
                self._swap(model)
        self._still = {waiting, wanted}

    def _is_news(self, identity: Identity) -> bool:
        if identity == self.current.identity:
            return False
        return self.refused is None or self.refused.identity != identity

    def _forget(self, *present: Identity | None) -> None:
        if self.refused is not None and self.refused.identity not in present:
            self.refused = None

    def _try(self, path: Path, identity: Identity) -> Model | None:
        """A checked model; None if its files do not lie still yet, or it is refused."""
        if self.prepared is not None and self.prepared.identity == identity:
            return self.prepared
        if identity not in self._still:
            return None
        try:
            model = self._load(path)
        except FeedrankError as error:
            self._refuse(identity, str(error))
            return None
        warm(model.artifact)
        return model

    def _load(self, path: Path) -> Model:
        """Load and check, from the very directory that a link names now."""
        identity = identity_of(path)
        if identity is None:
            raise ArtifactError(
                f"'{path}' holds no artifact ('{MANIFEST}' is missing). Make one with `dvc repro`, "
                "fetch one with `dvc pull`, or set FEEDRANK_ARTIFACT to the directory that holds "
                "one. A link that can be moved is made by `python -m service.deploy` before the "
                "first start."
            )
        directory = Path(identity[0])
        try:
            artifact = Artifact.load(directory)
            version = version_of(directory)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            # A directory that was written by something else can fail in any of these ways.
            kind = type(error).__name__
            raise ArtifactError(
                f"'{directory}' cannot be read ({kind}: {error}). Copy the whole directory again."
            ) from error
        drift = Drift(self.group, artifact)
        return Model(self.group, version, artifact, datetime.now(UTC), identity, drift)

    def _swap(self, model: Model) -> None:
        former, self.current = self.current.version, model
        self.refused = None
        self.n_swaps += 1
        logger.info("swapped", extra={"group": self.group, "from": former, "to": model.version})

    def _refuse(self, identity: Identity, reason: str) -> None:
        self.refused = Refused(identity, version_of(Path(identity[0])), reason)
        self.n_refusals += 1
        logger.error(
            "refused",
            extra={"group": self.group, "still": self.current.version, "reason": reason},
        )
