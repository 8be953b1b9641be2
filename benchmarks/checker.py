"""The course's checker, played on the bundle in the course's environment and in a current one.

    make checker-test        (or: python -m benchmarks.checker)

For each Python found (3.8 to 3.10: deploy/checker/course.txt; 3.11, 3.12: deploy/checker/today.txt)
a virtual environment is built below tmp/checker, kept for the next run, and 2,000 requests are
played in an empty directory with the two files of models/checker. Prints the table of
docs/checker.md; exit code 1 if a limit is broken or lists differ from the service's.

    python -m benchmarks.checker --rebuild 30 --python 3.8     # with 30 days of history only
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from feedrank.artifact.artifact import Artifact
from feedrank.checker.bundle import write_bundle
from feedrank.params import CheckerParams
from tests.support.course.environments import VERSIONS, Environment, environments, install
from tests.support.course.judge import HEAD, compare, row
from tests.support.course.requests import (
    N_REQUESTS,
    Request,
    draw_requests,
    hit_rate,
    load_artifact,
)
from tests.support.course.trial import lists_of_the_service, play, what_to_play


def run(environment: Environment, given: argparse.Namespace, ours: list[list[int]],
        artifact: Artifact, requests: list[Request]) -> list[str]:  # fmt: skip
    """Print one line; returns what is wrong, if anything."""
    python, left_out = install(environment, given.folder)
    what = what_to_play(artifact, requests)
    found = play(python, given.bundle, what, given.folder / f"empty-{environment.name}")
    played = compare(artifact, requests, ours, found)
    print(row(played, left_out), flush=True)
    for words in found["warnings"]:
        print(f"warning under {environment.name}: {words}", file=sys.stderr)
    return [f"{environment.name}: {words}" for words in played.broken()]


def main() -> None:
    """Play everywhere."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--artifact", type=Path, default=Path("models/artifact"))
    parser.add_argument("--bundle", type=Path, default=Path("models/checker"))
    parser.add_argument(
        "--rebuild",
        metavar="DAYS",
        help="write a bundle of the artifact first, with so many days of history, or `all`",
    )
    parser.add_argument("--folder", type=Path, default=Path("tmp/checker"))
    parser.add_argument("--requests", type=int, default=N_REQUESTS)
    parser.add_argument("--python", nargs="+", default=list(VERSIONS), help="such as 3.8")
    given = parser.parse_args()
    given.folder = given.folder.absolute()
    found = [e for e in environments() if e.version in given.python]
    if not found:
        raise SystemExit(f"error: no Python of {given.python} was found; install one, as by pyenv.")
    artifact = load_artifact(given.artifact)
    if given.rebuild:
        given.bundle = given.folder / "rebuilt"
        days = None if given.rebuild == "all" else int(given.rebuild)
        write_bundle(given.bundle, artifact, CheckerParams(history_days=days))
    if not (given.bundle / "model").exists():
        raise SystemExit(f"error: '{given.bundle}' holds no model. Run `dvc repro checker`.")
    requests = draw_requests(artifact.store, given.requests)
    ours = lists_of_the_service(given.artifact, requests)
    rate = hit_rate(artifact.store, requests, ours)
    size = (given.bundle / "model").stat().st_size / 1e6
    print(f"{len(requests)} requests; model file {size:.1f} MB; hit rate of the service: "
          f"{'-' if rate is None else f'{rate:.4f}'}\n{HEAD}")  # fmt: skip
    wrong = [w for e in found for w in run(e, given, ours, artifact, requests)]
    if wrong:
        raise SystemExit("error: " + "\n       ".join(wrong))


if __name__ == "__main__":
    main()
