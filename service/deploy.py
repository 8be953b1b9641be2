"""Swap the artifact of a running service, or roll back: `python -m service.deploy`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from feedrank.artifact.artifact import Artifact
from feedrank.errors import ArtifactError, FeedrankError
from service.serving.model_slot import next_path, version_of
from service.serving.worker_registry import Report, workers
from service.settings import Settings

VERSIONS = "versions"
POLL_SECONDS = 0.1
Found = Callable[[], list[Report]]


def deploy(source: Path, link: Path, state: Path, wait: float) -> str:
    """Let every worker serve the artifact in `source`; the version that answers then.

    It is checked here, copied beside the others, loaded beside the running one by every worker,
    and only then does the link move. If one worker refuses, all go on with the former.

    Args:
        source: directory of an artifact.
        link: the path that the service was told to serve.
        state: directory where workers note what they serve.
        wait: seconds until the workers must have followed.

    Raises:
        ArtifactError: it fails its checks, a worker refuses it, or workers do not follow.
    """
    _refuse_directory(link)
    version = version_of(source)
    as_of = Artifact.load(source).manifest["as_of"]
    home = link.absolute().parent / VERSIONS / f"{as_of[:10]}-{version}"
    if not home.exists():
        _copy_whole(source, home)
    return switch(link, home, state, wait)


def roll_back(link: Path, state: Path, wait: float) -> str:
    """Let every worker serve what was served before; a second call goes forward again.

    Raises:
        ArtifactError: nothing was served before, or it fails its checks by now.
    """
    _refuse_directory(link)
    if not previous_path(link).is_symlink():
        raise ArtifactError(f"'{link}' has served one artifact only: there is none to go back to.")
    return switch(link, previous_path(link).resolve(), state, wait)


def switch(link: Path, target: Path, state: Path, wait: float) -> str:
    """Move the link to a directory once every worker has loaded and checked it."""
    version = version_of(target)
    if link.resolve() == target.resolve():
        return version
    former = link.resolve() if link.is_symlink() else None
    point(next_path(link), target)
    try:
        _await("prepared", lambda: workers(state, link), version, wait)
        if former is not None:
            point(previous_path(link), former)
        point(link, target)
        try:
            _await("served", lambda: workers(state, link), version, wait)
        except ArtifactError:
            if former is not None:
                point(link, former)
            raise
    finally:
        next_path(link).unlink(missing_ok=True)
    return version


def point(link: Path, target: Path) -> None:
    """Let a link name a directory, in one step: whoever reads it finds the old or the new."""
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(target, link.parent.absolute()))
    new.replace(link)


def previous_path(link: Path) -> Path:
    """Where a link names what was served before."""
    return link.with_name(f"{link.name}.previous")


def _await(what: str, found: Found, version: str, wait: float) -> None:
    """Return once all workers have got there; raises `ArtifactError` if one does not."""
    until = monotonic() + wait
    while True:
        reports = found()
        for report in reports:
            if report.refused == version:
                raise ArtifactError(f"worker {report.pid} refuses {version}: {report.reason}")
        late = [r.pid for r in reports if version not in (r.version, _prepared(r, what))]
        if not late:
            return
        if monotonic() > until:
            raise ArtifactError(
                f"workers {late} have not {what} {version} within {wait:g} s, so the former is "
                "served again. See their log, or wait longer with --wait."
            )
        sleep(POLL_SECONDS)


def _prepared(report: Report, what: str) -> str | None:
    return report.prepared if what == "prepared" else None


def _copy_whole(source: Path, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = home.with_name(f".{home.name}.{os.getpid()}")
    try:
        shutil.copytree(source, partial)
        Artifact.load(partial)
        partial.replace(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_directory(link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise ArtifactError(
            f"'{link}' is a directory, and only a link can move in one step. Run `export "
            "FEEDRANK_ARTIFACT=models/live`, deploy again, which makes that link, and start the "
            "service anew with the same variable. (Without a link the service takes up what "
            "`dvc repro` or `dvc pull` puts in the directory's place by itself.)"
        )


def tell(link: Path, state: Path) -> str:
    """What the link names, what could come back, and what each worker serves."""
    lines = [f"{link} -> {link.resolve()}"]
    if previous_path(link).is_symlink():
        lines.append(f"{previous_path(link)} -> {previous_path(link).resolve()}")
    for report in workers(state, link):
        refused = f", refuses {report.refused}: {report.reason}" if report.refused else ""
        lines.append(f"worker {report.pid} serves {report.version}{refused}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.deploy", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("source", nargs="?", type=Path, help="directory of the artifact to serve")
    what.add_argument("--rollback", action="store_true", help="serve what was served before")
    what.add_argument("--status", action="store_true", help="say what is served")
    parser.add_argument("--link", type=Path, help="path the service serves; FEEDRANK_ARTIFACT")
    parser.add_argument("--wait", type=float, default=120, help="seconds for workers to follow")
    given = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        link = given.link or settings.artifact
        if given.status:
            print(tell(link, settings.state))
            return 0
        if given.rollback:
            version = roll_back(link, settings.state, given.wait)
        else:
            version = deploy(given.source, link, settings.state, given.wait)
        n_workers = len(workers(settings.state, link))
        print(f"{version} is served by {n_workers} workers" if n_workers else
              f"{version} will be served by the next start; no worker runs now")  # fmt: skip
    except FeedrankError as error:
        print(f"nothing changed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
