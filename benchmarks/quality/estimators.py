"""Estimators of `expected` against known truths: error, width and coverage by kind of network.

    python -m benchmarks.quality.estimators          # eight networks of each kind: half an hour
    python -m benchmarks.quality.estimators --kinds course --networks 2 --seed 500
    python -m benchmarks.quality.estimators --requests 150   # the others tell of matches alone

Each estimator has our calibration; they differ in the impressions that correct it, and by how much.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from feedrank.validation.hitrate import shift
from feedrank.validation.hitrate.hit_model import SHIFT_SPREAD
from feedrank.validation.hitrate.scores import Scores, score
from feedrank.validation.methods import OURS
from feedrank.validation.replay.matches import NO_MATCHES
from feedrank.validation.replay.replay import ReplayResult
from tests.support.network.known_truth import KINDS, K, KnownTruth, Outcome, known_truth, outcomes

# Seeds by which the estimator's constants were chosen; coverage is measured on others.
FIRST_SEED, N_NETWORKS = 500, 8
THOUSANDTHS = 1_000  # of a weight that stands in the place of a rank
OF_PRODUCT = shift.matching_weight
Weigh = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _in_list(rank: np.ndarray, propensity: np.ndarray, k: int) -> np.ndarray:
    return OF_PRODUCT(rank, propensity, k) * (rank < k)


def _by_place(rank: np.ndarray, propensity: np.ndarray, k: int) -> np.ndarray:
    return np.sqrt(OF_PRODUCT(rank, np.ones(len(rank)), k)) / np.maximum(propensity, 0.1)


def _as_given(rank: np.ndarray, propensity: np.ndarray, k: int) -> np.ndarray:
    return rank / THOUSANDTHS


CHOSEN, ALONE = "(k / place)^2", "the same, of the replayed requests alone"
# Weights of impressions, standard deviation of a shift's prior beside what is not known of
# posts, and whether clusters match.
# Without a prior the model corrected by matches in the list is the doubly robust form.
ESTIMATORS: dict[str, tuple[Weigh, float, bool]] = {
    CHOSEN: (OF_PRODUCT, SHIFT_SPREAD, False),
    ALONE: (OF_PRODUCT, SHIFT_SPREAD, False),
    "k / place": (_by_place, SHIFT_SPREAD, False),
    "in the list": (_in_list, SHIFT_SPREAD, False),
    "in the list, without a prior": (_in_list, 1.0, False),
    "of the lists' clusters": (_as_given, SHIFT_SPREAD, True),
}


def estimated(known: KnownTruth, name: str) -> Scores:
    """All methods' hit rates by one estimator."""
    weigh, spread, of_clusters = ESTIMATORS[name]
    replayed = _by_cluster(known) if of_clusters else known.replayed
    with ExitStack() as changed:
        changed.enter_context(mock.patch.object(shift, "SHIFT_SPREAD", spread))
        changed.enter_context(mock.patch.object(shift, "matching_weight", weigh))
        others = NO_MATCHES if name == ALONE or of_clusters else known.others
        return score(replayed, known.names, K, known.validate, None, others)


def _by_cluster(known: KnownTruth) -> ReplayResult:
    """Marginalised weights in place of ranks: a cluster's share of the list over that of the feed.

    Saito and Joachims, *Off-policy evaluation for large action spaces via embeddings*, 2022.
    """
    replayed, n = known.replayed, int(known.cluster.max()) + 1
    shown = known.cluster[replayed.shown_post]
    of_feed = np.bincount(shown, minlength=n) / len(shown)
    requests = np.arange(len(replayed.user))[:, None]
    weights = []
    for top in replayed.top:
        cell = (requests * n + known.cluster[np.maximum(top, 0)])[top >= 0]
        share = np.bincount(cell, minlength=len(requests) * n).reshape(-1, n) / K
        weight = share[replayed.shown_request, shown] / np.maximum(of_feed[shown] * n, 0.05)
        weights.append(np.where(weight > 0, np.rint(weight * THOUSANDTHS), -1))
    return replace(replayed, shown_rank=np.array(weights, np.int64))


def line(name: str, found: list[dict[str, Outcome]]) -> str:
    """Mean error, root mean square, width and coverage of rates and of leads; our mean error."""
    cells = [name]
    for are_leads in (False, True):
        some = [o for f in found for n, o in f.items() if n.startswith("lead over") == are_leads]
        error = np.array([o.error for o in some])
        width, covers = np.mean([o.width for o in some]), sum(o.covers for o in some)
        rms = np.sqrt(np.mean(error**2))
        cells += [f"{error.mean():+.3f}", f"{rms:.3f}", f"{width:.3f}", f"{covers} of {len(some)}"]
    cells.append(f"{np.mean([of_network[OURS].error for of_network in found]):+.3f}")
    return f"| {' | '.join(cells)} |"


def networks(kind: str, seeds: range, requests: int) -> Iterator[KnownTruth]:
    """Replays of one kind, one after another."""
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="feedrank-estimators-") as scratch:
            yield known_truth(KINDS[kind], seed, Path(scratch), requests)


def main() -> None:
    """Print a table of estimators for each kind, and one of all kinds."""
    given = _arguments()
    every: dict[str, list[dict[str, Outcome]]] = {name: [] for name in ESTIMATORS}
    for kind in given.kinds:
        known = list(networks(kind, range(given.seed, given.seed + given.networks), given.requests))
        measures = "error | root mean square | width | covered"
        print(f"\n| {kind} | {measures} | leads: {measures} | mean error of ours |")
        print("| --- " * 10 + "|")
        for name, of_all in every.items():
            found = [outcomes(one, estimated(one, name)) for one in known]
            of_all += found
            print(line(name, found), flush=True)
    print("\nall")
    for name, found in every.items():
        print(line(name, found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--networks", type=int, default=N_NETWORKS)
    parser.add_argument("--requests", type=int, default=2_000, help="that are replayed, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
