"""Cost of exploration: hits by the ranker's own probabilities, and time, by the share of places.

    python -m benchmarks.service.exploration models/artifact --shares 0 .05 .2

Lists of five of the same random users at the log's end. Times are of this process's processor.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.ranking.exploration import Explorer
from feedrank.ranking.recommender import Ranked

K = 5


def lists_of(explorer: Explorer, users: np.ndarray, at: int) -> tuple[list[Ranked], float]:
    """Each user's list, asked for alone, and the median of the seconds that one takes."""
    lists, took = [], []
    for row in range(len(users)):
        began = time.process_time()
        lists += explorer.rank_many(users[row : row + 1], at, K)
        took.append(time.process_time() - began)
    return lists, float(np.median(took))


def main() -> None:
    """Print a line for each share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.05, 0.2])
    parser.add_argument("--users", type=int, default=400)
    given = parser.parse_args()
    artifact = Artifact.load(given.artifact)
    meta = artifact.store.meta
    users = np.random.default_rng(0).integers(0, meta.n_users, given.users)
    n_shown = artifact.store.states.as_of(artifact.recommender.step(meta.last_at)).n_shown
    one_thread_of_algebra()
    for share in given.shares:
        explorer = Explorer(artifact.recommender, share, artifact.version)
        explorer.rank_many(users, meta.last_at, K)
        lists, seconds = lists_of(explorer, users, meta.last_at)
        hit = np.mean([1 - np.prod(1 - ranked.probability) for ranked in lists])
        drawn = np.concatenate([ranked.post[K - ranked.n_explored :] for ranked in lists])
        never = (n_shown[drawn] == 0).mean() if len(drawn) else 0.0
        print(f"explore {share:g}: hit rate {hit:.4f}, {1e3 * seconds:.2f} ms a request, "
              f"{len(drawn)} drawn, {never:.1%} of them never shown")  # fmt: skip


if __name__ == "__main__":
    main()
