"""The course's checker in the course's environment and in today's: does the bundle pass there?

    make checker-test        (or: python -m benchmarks.checker)

For each Python found (3.8 to 3.10: deploy/checker/course.txt; 3.11, 3.12: deploy/checker/today.txt)
a virtual environment is built below tmp/checker, kept for the next run, and 2,000 requests are
played in an empty directory with the two files of models/checker. Prints the table of
docs/checker.md; exit code 1 if a limit is broken or lists differ from the service's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from benchmarks.course import MOST_MEGABYTES, MOST_SECONDS, K, Request, draw_requests, hit_rate
from benchmarks.pythons import Environment, environments, install
from feedrank.artifact import Artifact
from feedrank.golden import TOLERANCE
from service.app import create_app
from service.settings import Settings

PLAY = Path(__file__).with_name("checker_play.py")
LEAST_EQUAL = 0.999  # of the lists
N_ROWS = 2_000


@dataclass(frozen=True)
class Played:
    """What one environment answered, beside the service's own answers.

    Attributes:
        found: what the player wrote.
        equal: share of lists that are the service's.
        n_ties: of the others, those whose posts the service holds for equally likely.
        n_others: lists that differ for any other reason.
        hit_rate: by the demo's truth; None without one.
    """

    found: dict[str, Any]
    equal: float
    n_ties: int
    n_others: int
    hit_rate: float | None

    def broken(self) -> list[str]:
        """Which limits it breaks, in words."""
        slowest, used = max(self.found["milliseconds"]) / 1000, self.found["megabytes"]
        told = {
            f"{self.equal:.2%} of the lists are the service's": self.equal < LEAST_EQUAL,
            f"{self.n_others} lists hold posts that are less likely": self.n_others > 0,
            f"the slowest request took {slowest:.2f} s": slowest > MOST_SECONDS,
            f"it took {used:.0f} MB": used > MOST_MEGABYTES,
            f"probabilities differ by {self.found['difference']:.1e}": (
                self.found["difference"] > TOLERANCE
            ),
        }
        return [words for words, is_broken in told.items() if is_broken]


def play(python: Path, bundle: Path, given: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run the player in an empty directory that holds the two files and nothing else."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("app.py", "model"):
        shutil.copy(bundle / name, scratch)
    (scratch / "play.json").write_text(json.dumps(given))
    done = subprocess.run(
        [python, "-I", PLAY, "play.json"], cwd=scratch, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"error: the bundle fails under '{python}':\n{done.stderr}")
    return dict(json.loads((scratch / "played.json").read_text()))


def what_to_play(artifact: Artifact, requests: list[Request], seed: int = 20) -> dict[str, Any]:
    """Requests, and rows of features with the probabilities that the service gives them."""
    rng = np.random.default_rng(seed)
    recommender, meta = artifact.recommender, artifact.knowledge.meta
    post = rng.integers(0, meta.n_posts, N_ROWS // 10)
    matrix = np.concatenate(
        [
            recommender.matrix(int(user), int(at), post)
            for user, at in zip(
                rng.integers(0, meta.n_users, 10), rng.integers(0, meta.last_at, 10), strict=True
            )
        ]
    )
    return {
        "requests": requests,
        "limit": K,
        "features": [f.name for f in recommender.features],
        "matrix": matrix.tolist(),
        "probability": recommender.ranker.probability(matrix).tolist(),
    }


def lists_of_the_service(artifact: Path, requests: list[Request]) -> list[list[int]]:
    """What the service answers."""
    with (
        tempfile.TemporaryDirectory() as state,
        TestClient(create_app(Settings(artifact=artifact, state=Path(state)))) as client,
    ):
        answers = [
            client.get("/post/recommendations/", params={"id": i, "time": at, "limit": K})
            for i, at in requests
        ]
    return [[post["id"] for post in answer.json()] for answer in answers]


def compare(
    artifact: Artifact, requests: list[Request], ours: list[list[int]], found: dict[str, Any]
) -> Played:
    """Judge what was played; a list that differs is explained or counted as wrong."""
    differing = [
        i for i, (here, there) in enumerate(zip(ours, found["lists"], strict=True)) if here != there
    ]
    ties = [i for i in differing if _are_equally_likely(artifact, requests[i], ours[i],
                                                        found["lists"][i])]  # fmt: skip
    return Played(
        found,
        1 - len(differing) / len(requests),
        len(ties),
        len(differing) - len(ties),
        hit_rate(artifact.knowledge, requests, found["lists"]),
    )


def _are_equally_likely(
    artifact: Artifact, request: Request, ours: list[int], theirs: list[int]
) -> bool:
    user_id, moment = request
    catalogue, meta = artifact.knowledge.catalogue, artifact.knowledge.meta
    at = meta.seconds(type(meta.origin_at).fromisoformat(moment))
    p = [
        artifact.recommender.score(catalogue.user(user_id), at,
                                   np.array([catalogue.post(post) for post in posts]))
        for posts in (ours, theirs)
    ]  # fmt: skip
    return len(p[0]) == len(p[1]) and bool(np.abs(p[0] - p[1]).max() <= TOLERANCE)


HEAD = (
    "| Python | xgboost | numpy | fastapi, pydantic | left out | lists equal | hit rate "
    "| probabilities differ by | loads in | p50 | p99 | slowest | memory |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def row(played: Played, left_out: list[str]) -> str:
    """One line of the table."""
    found, versions = played.found, played.found["versions"]
    p50, p99, most = np.percentile(found["milliseconds"], [50, 99, 100])
    hit = "-" if played.hit_rate is None else f"{played.hit_rate:.4f}"
    return (
        f"| {found['python']} | {versions['xgboost']} | {versions['numpy']} "
        f"| {versions['fastapi']}, {versions['pydantic']} | {', '.join(left_out) or 'nothing'} "
        f"| {played.equal:.2%} | {hit} | {found['difference']:.1e} | {found['load_seconds']:.1f} s "
        f"| {p50:.1f} ms | {p99:.1f} ms | {most:.0f} ms | {found['megabytes']:.0f} MB |"
    )


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
    parser.add_argument("--folder", type=Path, default=Path("tmp/checker").absolute())
    parser.add_argument("--requests", type=int, default=2_000)
    given = parser.parse_args()
    found = environments()
    if not found:
        raise SystemExit("error: no Python from 3.8 to 3.12 was found; install one, as with pyenv.")
    artifact = Artifact.load(given.artifact)
    requests = draw_requests(artifact.knowledge, given.requests)
    ours = lists_of_the_service(given.artifact, requests)
    rate = hit_rate(artifact.knowledge, requests, ours)
    size = (given.bundle / "model").stat().st_size / 1e6
    print(f"{len(requests)} requests; model file {size:.1f} MB; hit rate of the service: "
          f"{'-' if rate is None else f'{rate:.4f}'}\n{HEAD}")  # fmt: skip
    wrong = [w for e in found for w in run(e, given, ours, artifact, requests)]
    if wrong:
        raise SystemExit("error: " + "\n       ".join(wrong))


if __name__ == "__main__":
    main()
