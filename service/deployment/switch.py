"""Switch: links that name an artifact move once every worker has loaded and checked it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from feedrank.artifact.manifest import version_of
from feedrank.errors import ArtifactError
from service.links import next_path, previous_path
from service.serving.worker_registry import live_workers

POLL_SECONDS = 0.1  # any value well below the second that a worker needs to load an artifact


def switch(link: Path, target: Path, state: Path, wait: float) -> str:
    """Move the link to a directory once every worker has loaded and checked it.

    Whatever ends it before all workers serve it leaves all links as they were.
    """
    version = version_of(target)
    previous = link.resolve() if link.exists() else None  # nothing for a link in a circle
    if previous == target.resolve():
        return version
    point(next_path(link), target)
    try:
        _await_workers("prepared", version, link, state, wait)
        with _moved({link: target} | ({} if previous is None else {previous_path(link): previous})):
            _await_workers("served", version, link, state, wait)
    finally:
        next_path(link).unlink(missing_ok=True)
    return version


@contextmanager
def _moved(targets: dict[Path, Path]) -> Iterator[None]:
    """Links that name other directories; whatever ends what happens within moves them back.

    All that is needed for either is made before a link moves: a full disk changes nothing.
    """
    old, new = dict[Path, Path](), dict[Path, Path]()
    try:
        for place in filter(Path.is_symlink, targets):
            old[place] = _made(place, os.readlink(place), "old")
        for place, target in targets.items():
            new[place] = made(place, target)
        for place, link in new.items():
            link.replace(place)
        yield
    except BaseException:
        for place, link in old.items():
            link.replace(place)
        for place in new.keys() - old.keys():
            place.unlink(missing_ok=True)
        raise
    finally:
        for link in (*new.values(), *old.values()):
            link.unlink(missing_ok=True)


def point(link: Path, target: Path) -> None:
    """Let a link name a directory, in one step: each reader finds the old or the new one."""
    made(link, target).replace(link)


def made(link: Path, target: Path) -> Path:
    """A link to a directory, beside the one whose place it is to take."""
    link.parent.mkdir(parents=True, exist_ok=True)
    return _made(link, os.path.relpath(target, link.parent.absolute()), "new")


def _made(link: Path, named: str, kind: str) -> Path:
    new = link.with_name(f".{link.name}.{os.getpid()}.{kind}")
    new.unlink(missing_ok=True)
    new.symlink_to(named)
    return new


def target_of(link: Path) -> Path:
    """The directory that a link names; raises `ArtifactError` for links that lead in a circle."""
    try:
        return link.resolve()
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"'{link}' leads in a circle. Remove it, or deploy again.") from error


def _await_workers(step: str, version: str, link: Path, state: Path, wait: float) -> None:
    """Wait until all workers have `prepared` or `served` a version, or raise `ArtifactError`."""
    until = monotonic() + wait
    while True:
        workers = live_workers(state, link)
        for worker in workers:
            if worker.refused == version:
                raise ArtifactError(f"worker {worker.pid} refuses {version}: {worker.reason}")
        late = [
            worker.pid
            for worker in workers
            if worker.version != version and (step == "served" or worker.prepared != version)
        ]
        if not late:
            return
        if monotonic() > until:
            raise ArtifactError(
                f"workers {late} have not {step} {version} within {wait:g} s, so the previous "
                "artifact is served. See their log, or wait longer with --wait."
            )
        sleep(POLL_SECONDS)
