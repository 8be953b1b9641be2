"""Deployment: hot swap of a running service's artifact, or rollback: `python -m service.deploy`.

The exit code is 0 if the artifact is served, 1 if that fails, 2 if the gate refuses it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from feedrank.artifact.manifest import (
    MANIFEST,
    check_files,
    read_manifest,
    version_of,
)
from feedrank.artifact.proof import prove_once
from feedrank.artifact.signature import signature_path
from feedrank.errors import ArtifactError, FeedrankError, blaming, command
from feedrank.io.files import unwritable, write_whole
from feedrank.io.outputs import new_directory
from feedrank.io.writer_lock import one_writer
from service.deployment.record import recorded
from service.deployment.switch import switch, target_of
from service.links import next_path, previous_path
from service.serving.worker_registry import live_workers
from service.settings import Settings

VERSIONS = "versions"
FAILED, REFUSED = 1, 2


class Refused(FeedrankError):
    """The gate's reasons against an artifact."""


def deploy(source: Path, link: Path, state: Path, wait: float, forced: str = "") -> str:
    """Let every worker serve the artifact in `source`; returns its version.

    The artifact is proved in a process apart, copied beside the others and loaded beside the
    running one by every worker; only then does the link move. If one worker refuses it, all keep
    the previous one.

    Args:
        source: directory of an artifact.
        link: path that the service serves.
        state: directory of the worker registry, and of proofs.
        wait: seconds until the workers must have followed.
        forced: reason to overrule the gate; it is recorded. Empty: the gate decides.

    Raises:
        Refused: the gate has reasons against it.
        ArtifactError: the artifact fails its checks, or a worker refuses it or does not follow.
        FeedrankError: another process deploys to a link of the same folder.
    """
    with _one_deploy(link):
        prove_once(source, state)
        overruled = _gate(source, link, forced)
        home = link.absolute().parent / VERSIONS / version_of(source)
        if not home.exists():
            with new_directory(home) as new:
                shutil.copytree(source, new, dirs_exist_ok=True)
                check_files(new, read_manifest(new))
        elif (signature := signature_path(source / MANIFEST)).is_file():
            # The same files, signed since, or with another key.
            write_whole(signature_path(home / MANIFEST), signature.read_bytes())
        return _recorded("deploy", link, home, state, wait, forced=forced, overruled=overruled)


def _gate(source: Path, link: Path, forced: str) -> list[str]:
    """Reasons that were overruled; raises `Refused` for reasons that were not."""
    live = link.resolve() if link.exists() else None
    if live is not None and version_of(live) == version_of(source):
        return []
    from service.deployment.gate import reasons_against  # with all of validation

    with blaming(source):
        found = reasons_against(source, live)
    if found and not forced:
        raise Refused(
            f"'{source}', whose ranker is '{read_manifest(source)['ranker']}', is refused. "
            f"{' '.join(found)} To deploy it all the same, say why: "
            "make deploy FORCE='...', or --force '...'."
        )
    return found


def _recorded(
    what: str, link: Path, target: Path, state: Path, wait: float, **words: object
) -> str:
    """As `switch`, to a copy of an earlier deploy that may have been changed since; recorded."""
    try:
        prove_once(target, state)
    except ArtifactError as error:
        raise ArtifactError(
            f"the kept copy is not what was deployed. {error} Or remove '{target}' and deploy "
            "again."
        ) from error
    previous = version_of(link) if link.exists() else None
    version, versions = version_of(target), link.absolute().parent / VERSIONS
    ranker = read_manifest(target)["ranker"]
    entry = recorded(versions, what, version, previous, ranker=ranker, **words)
    try:
        with entry if version != previous else nullcontext():
            switch(link, target, state, wait)
    except OSError as error:
        raise FeedrankError(f"the link {unwritable(error, str(link)) or error}") from error
    return version


def roll_back(link: Path, state: Path, wait: float) -> str:
    """Let every worker serve the previous artifact; a second call undoes the first.

    Raises:
        ArtifactError: there is no previous artifact, or it fails its checks.
    """
    with _one_deploy(link):
        if not previous_path(link).is_symlink():
            raise ArtifactError(f"'{link}' has served one artifact only: there is no previous one.")
        return _recorded("rollback", link, target_of(previous_path(link)), state, wait)


@contextmanager
def _one_deploy(link: Path) -> Iterator[None]:
    """Hold the lock of a link's folder, which has one record; raises `FeedrankError`.

    The link must be one, or not be there.
    """
    _refuse_directory(link)
    for place in (next_path(link), previous_path(link)):
        if place.exists() and not place.is_symlink():
            raise ArtifactError(
                f"'{place}' is no link, and only a link can take its place. Remove it."
            )
    with one_writer(link.with_name(f".{VERSIONS}.lock")):
        yield


def _refuse_directory(link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise ArtifactError(
            f"'{link}' is a directory, and only a link can move in one step. Run `export "
            "FEEDRANK_ARTIFACT=models/live`, deploy again, which makes that link, and start the "
            "service again with the same variable. (Without a link the service itself finds an "
            "artifact that `dvc repro` or `dvc pull` puts in the directory's place.)"
        )


def status(link: Path, state: Path) -> str:
    """Current and previous artifact of a link, and the state of each worker."""
    named = [place for place in (link, previous_path(link)) if place.is_symlink()]
    lines = [f"{place} -> {target_of(place)}" for place in named]
    if link not in named:
        lines.insert(0, f"nothing was deployed at '{link}' yet")
    for worker in live_workers(state, link):
        refused = f", refuses {worker.refused}: {worker.reason}" if worker.refused else ""
        lines.append(f"worker {worker.pid} serves {worker.version}{refused}")
    return "\n".join(lines)


@command(FAILED, {Refused: REFUSED}, "nothing changed")
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m service.deploy", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("source", nargs="?", type=Path, help="directory of the artifact to serve")
    what.add_argument("--rollback", action="store_true", help="serve the previous artifact")
    what.add_argument("--status", action="store_true", help="print what is served")
    parser.add_argument(
        "--first", action="store_true", help="deploy only if nothing was ever deployed"
    )
    parser.add_argument("--force", type=str.strip, default="", help="why the gate is overruled")
    parser.add_argument("--link", type=Path, help="path the service serves; FEEDRANK_ARTIFACT")
    parser.add_argument("--wait", type=float, default=120, help="seconds for workers to follow")
    given = parser.parse_args(arguments)
    settings = Settings.from_environment()
    link = given.link or settings.artifact
    if given.status:
        print(status(link, settings.state))
        return
    if given.first and link.exists():
        return
    if given.first:
        print(f"nothing was deployed yet: '{link}' is made from '{given.source}'")
    if given.rollback:
        version = roll_back(link, settings.state, given.wait)
    else:
        version = deploy(given.source, link, settings.state, given.wait, given.force)
    n_workers = len(live_workers(settings.state, link))
    print(f"{version} is served by {n_workers} workers" if n_workers else
          f"{version} will be served by the next start; no worker runs now")  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
