"""Logistic, pairwise, NDCG and listwise trees over one first score: true hit rates compared.

    python -m benchmarks.objectives --seeds 20 21
    python -m benchmarks.objectives --effects usual --seeds 21 --max-rows 2500000

All are grown on the same training rows from the same first score with the settings of
`params.yaml`, but for the least gain of a split. The latest tenth of the rows decides how many
trees each grows, by its own loss; the judged weeks come after all of them. Each reorders the
candidates of the same requests; intervals are of 95 %, paired over users.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import xgboost as xgb

from benchmarks.objective_trees import OBJECTIVES, Sessions, grown, n_splits
from benchmarks.ranking import EFFECTS
from benchmarks.simulated_log import write_simulated_log
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects, Truth
from feedrank.engine import map_parts
from feedrank.folds import Calendar, Fold
from feedrank.knowledge import Knowledge
from feedrank.learn import learn
from feedrank.log import Log
from feedrank.ordering import best_rows
from feedrank.params import ExportParams, Params, TrainParams, load_params
from feedrank.ranker import FirstScore, Ranker
from feedrank.rows import TrainingRows
from feedrank.validation.metrics import user_weights
from feedrank.validation.requests import requests_of
from feedrank.workers import one_thread_of_algebra

GAINS = (20.0, 5.0, 0.0)
FIRST, SERVED = ("first score", 0.0), ("binary:logistic", 20.0)
N_PARTS = 8
Name = tuple[str, float]


def boosters_of(
    rows: TrainingRows, first: FirstScore, knowledge: Knowledge, train: TrainParams
) -> dict[Name, xgb.Booster]:
    """A booster for each objective and least gain, all over one first score."""
    sessions = Sessions.of(rows, first)
    return {
        (objective, gain): grown(
            objective, sessions, knowledge.features, replace(train, min_split_gain=gain)
        )
        for objective, gain in product(OBJECTIVES, GAINS)
    }


def lists_of(
    features: Path,
    first: FirstScore,
    boosters: dict[Name, xgb.Booster],
    rules: ExportParams,
    k: int,
    asked: np.ndarray,
    part: int,
) -> np.ndarray:
    """In a worker: the lists of its requests, shape (1 + n_boosters, n_requests, k).

    The first ones are those of the first score alone, whose candidates the others put in order.
    """
    knowledge = Knowledge.load(features)
    alone = Ranker(next(iter(boosters.values())), first)
    recommender = knowledge.recommender(alone, rules)
    some = np.array_split(asked, N_PARTS)[part]
    lists = np.empty((1 + len(boosters), len(some), k), np.int64)
    every = np.arange(len(knowledge.catalogue.post_ids))
    for i, (user, at) in enumerate(some.tolist()):
        matrix = recommender.matrix(user, at, every)
        score = first(matrix)
        kept = np.sort(best_rows(score, rules.candidates))
        lists[0, i] = best_rows(score, k)
        for place, booster in enumerate(boosters.values(), 1):
            found = booster.inplace_predict(
                matrix[kept],
                base_margin=score[kept],
                predict_type="margin",
                validate_features=False,
            )
            lists[place, i] = kept[best_rows(found, k)]
    return lists


def judged(
    log: Log, features: Path, rows: TrainingRows, fold: Fold, truth: Truth, params: Params
) -> tuple[np.ndarray, dict[Name, np.ndarray], dict[Name, int]]:
    """Users of one fold's requests, true hit rates of each, and splits grown, by name."""
    knowledge, k = Knowledge.load(features), params.validate.k[0]
    earlier = rows.between(0, fold.cutoff)
    first = FirstScore.fit(earlier.matrix, earlier.liked, knowledge.features)
    boosters = boosters_of(earlier, first, knowledge, params.train)
    seconds = knowledge.encodings.step_seconds
    requests = requests_of(log, fold, seconds, params.validate.requests, params.validate.seed)
    asked = np.stack([requests.user, requests.at], axis=1)
    job = partial(lists_of, features, first, boosters, params.export, k, asked)
    lists = np.concatenate(list(map_parts(job, N_PARTS, "replaying requests")), axis=1)
    at = requests.at + truth.seconds(log.meta.origin_at)
    hits = [truth.hit_probability(requests.user, at, some) for some in lists]
    splits = {name: n_splits(booster) for name, booster in boosters.items()}
    return requests.user, dict(zip((FIRST, *boosters), hits, strict=True)), {FIRST: 0} | splits


def compared(params: Params, effects: Effects, scratch: Path) -> Iterator[str]:
    """Lines of the table of one network."""
    (scratch / "features").mkdir()
    network = Network.simulate(params.demo, effects)
    log = write_simulated_log(network, scratch / "log", params.extract.buckets)
    knowledge, rows = learn(log, params)
    assert isinstance(rows, TrainingRows)  # no other place was named
    knowledge.save(scratch / "features")
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    users, hits, splits = zip(
        *(
            judged(log, scratch / "features", rows, fold, network.truth, params)
            for fold in calendar.folds(params.validate.folds)
        ),
        strict=True,
    )
    weights = user_weights(np.concatenate(users), params.validate.bootstrap, params.validate.seed)
    whole = {name: np.concatenate([h[name] for h in hits]) for name in hits[0]}
    for name, values in whole.items():
        change = values - whole[SERVED]
        low, high = np.quantile(weights @ change / weights.sum(1), [0.025, 0.975])
        objective, gain = name
        grew = " and ".join(str(s[name]) for s in splits)
        yield (
            f"{objective} | {'' if name == FIRST else f'{gain:g}'} | {grew} | {values.mean():.4f} "
            f"| {change.mean():+.4f} [{low:+.4f}, {high:+.4f}] |"
        )


def main() -> None:
    """Print a table, some lines a network."""
    given = _arguments()
    params = load_params()
    params = replace(params, features=replace(params.features, max_rows=given.max_rows))
    one_thread_of_algebra()
    print("| network | objective | least gain | splits, by fold | true | against the served one |\n"
          + "| --- " * 6 + "|", flush=True)  # fmt: skip
    for effects, seed in product(given.effects, given.seeds):
        changed = replace(params, demo=replace(params.demo, users=given.users, seed=seed))
        with tempfile.TemporaryDirectory(prefix="feedrank-objectives-") as scratch:
            for line in compared(changed, EFFECTS[effects], Path(scratch)):
                print(f"| {effects}, seed {seed} | {line}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=5300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[20])
    parser.add_argument("--effects", nargs="+", default=list(EFFECTS), choices=EFFECTS)
    parser.add_argument("--max-rows", type=int, default=load_params().features.max_rows)
    return parser.parse_args()


if __name__ == "__main__":
    main()
