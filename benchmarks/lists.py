"""The five most likely posts against other lists, and what leaving candidates out costs.

    python -m benchmarks.lists                        # three kinds of networks, two seeds each
    python -m benchmarks.lists --effects interests --seeds 20
    python -m benchmarks.lists --log data/log         # repeated impressions of any log

True hit rates of the requests of `benchmarks.ranking`, which only a simulation knows, with paired
95 % intervals over users. A simulated user likes a post as readily the second time as the first;
whether others do is asked of their log: the like rate of pairs seen or liked before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from benchmarks.diverse import capped, diversified, of_one_group, taste_variance
from benchmarks.ranking import EFFECTS, learned
from benchmarks.repeats import repeats_table
from feedrank.demo.truth import Effects, Truth
from feedrank.engine import map_parts
from feedrank.fitting import fit_ranker
from feedrank.folds import Calendar, Fold
from feedrank.knowledge import Knowledge
from feedrank.learn import learn
from feedrank.log import Log
from feedrank.params import ExportParams, Params, load_params
from feedrank.ranker import Ranker
from feedrank.recommender import Recommender
from feedrank.rows import TrainingRows
from feedrank.validation.metrics import estimate, user_weights
from feedrank.validation.requests import Requests, requests_of
from feedrank.workers import one_thread_of_algebra

N_PARTS = 16
CUTS = (100, 200, 400)
LOW_GAIN = 5.0  # a `train.min_split_gain` at which trees grow where the usual one lets none
SERVED, ALL_POSTS = "the five most likely (served)", "all posts"


@dataclass(frozen=True)
class Makers:
    """What lists are made of in one fold.

    Attributes:
        features: directory of the knowledge.
        ranker: trained before the fold's cutoff as the parameters say.
        split: the same with `LOW_GAIN`.
        requests: of the fold.
        export: how lists are made.
        k: their length.
    """

    features: Path
    ranker: Ranker
    split: Ranker
    requests: Requests
    export: ExportParams
    k: int

    @cached_property
    def knowledge(self) -> Knowledge:
        """Loaded once a process."""
        return Knowledge.load(self.features)

    def part(self, number: int) -> dict[tuple[str, str], np.ndarray]:
        """Lists by table and name, of a part of the requests, each of shape (n, k)."""
        some = self.requests.part(number, N_PARTS)
        asked = list(zip(some.user.tolist(), some.at.tolist(), strict=True))
        usual = self.knowledge.recommender(self.ranker, self.export)
        of_one = [self._similar(usual, user, at) for user, at in asked]
        lists = {("list", name): np.array([one[name] for one in of_one]) for name in of_one[0]}
        for key, recommender in self._recommenders():
            lists[key] = np.array([recommender.rank(*one, self.k).post for one in asked])
        return lists

    def _recommenders(self) -> Iterator[tuple[tuple[str, str], Recommender]]:
        for rule in ("nothing", "liked", "seen"):
            export = replace(self.export, exclude=rule)
            yield ("exclude", rule), self.knowledge.recommender(self.ranker, export)
        n_posts = len(self.knowledge.catalogue.post_ids)
        for table, ranker in (("cut", self.ranker), ("cut of a ranker with trees", self.split)):
            for name, n in ((ALL_POSTS, n_posts), *((f"{n} candidates", n) for n in CUTS)):
                export = replace(self.export, candidates=n)
                yield (table, name), self.knowledge.recommender(ranker, export)

    def _similar(self, usual: Recommender, user: int, at: int) -> dict[str, np.ndarray]:
        """Lists that differ in how many posts of one group they hold."""
        ranked = usual.rank(user, at, self.export.candidates)
        encodings, step = self.knowledge.encodings, usual.step(at)
        group, topic = encodings.era(step).groups.cluster[ranked.post], encodings.topic[ranked.post]
        of_user, of_group = taste_variance(self.knowledge, user, step)
        aware = partial(diversified, ranked.probability, group, self.k)
        places = {
            SERVED: np.arange(self.k),
            "all of the best post's group": of_one_group(group, self.k),
            "diversified by the user's uncertain taste": aware(of_user, of_group),
            "the same, taste four times as uncertain": aware(4 * of_user, 4 * of_group),
            **{f"at most {n} of a group": capped(group, self.k, n) for n in (3, 2, 1)},
            **{f"at most {n} of a topic": capped(topic, self.k, n) for n in (3, 2)},
        }
        return {name: ranked.post[place] for name, place in places.items()}


@dataclass(frozen=True)
class Judged:
    """Lists of all folds with their true hit rates.

    Attributes:
        user: of each request.
        posts: lists by table and name, shape (n_requests, k).
        hit: their true hit rates, shape (n_requests,).
        groups: how many groups each holds, mean.
        trees: splits of the usual ranker's trees and of the other's, one a fold.
    """

    user: np.ndarray
    posts: dict[tuple[str, str], np.ndarray]
    hit: dict[tuple[str, str], np.ndarray]
    groups: dict[tuple[str, str], float]
    trees: dict[str, list[int]]


def judge_network(params: Params, effects: Effects, scratch: Path) -> tuple[Judged, str]:
    """Every kind of list on a simulated network, and the table of its repeated impressions."""
    network, log, rows = learned(params, effects, scratch)
    knowledge = Knowledge.load(scratch / "features")
    folds = _folds(log, params, params.validate.folds)
    makers = [_makers(log, rows, knowledge, scratch / "features", f, params) for f in folds]
    parts = [part for m in makers for part in map_parts(m.part, N_PARTS, "making lists")]
    posts = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    user, at = (np.concatenate([getattr(m.requests, n) for m in makers]) for n in ("user", "at"))
    truth: Truth = network.truth
    shift = truth.seconds(log.meta.origin_at)
    group = knowledge.encodings.eras[-1].groups.cluster
    judged = Judged(
        user,
        posts,
        {name: truth.hit_probability(user, at + shift, lists) for name, lists in posts.items()},
        {name: _mean_distinct(group[lists]) for name, lists in posts.items()},
        {
            "cut": [_n_splits(m.ranker) for m in makers],
            "cut of a ranker with trees": [_n_splits(m.split) for m in makers],
        },
    )
    return judged, repeats_table(knowledge, rows, folds, params)


def _folds(log: Log, params: Params, n: int) -> list[Fold]:
    return Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days).folds(n)


def _makers(
    log: Log, rows: TrainingRows, knowledge: Knowledge, features: Path, fold: Fold, params: Params
) -> Makers:
    fit = partial(fit_ranker, rows, fold.cutoff, knowledge.features)
    validate, seconds = params.validate, knowledge.encodings.step_seconds
    return Makers(
        features,
        fit(params.train),
        fit(replace(params.train, min_split_gain=LOW_GAIN)),
        requests_of(log, fold, seconds, validate.requests, validate.seed),
        params.export,
        validate.k[0],
    )


def _mean_distinct(groups: np.ndarray) -> float:
    ordered = np.sort(groups, axis=1)
    return float(1 + (ordered[:, 1:] != ordered[:, :-1]).sum(1).mean())


def _n_splits(ranker: Ranker) -> int:
    trees = ranker.booster.trees_to_dataframe()
    return int((trees["Feature"] != "Leaf").sum())


def lines_of(table: str, judged: Judged, params: Params) -> Iterator[str]:
    """Rows of a table: each list beside the first one, which the others are compared with."""
    weights = user_weights(judged.user, params.validate.bootstrap, params.validate.seed)
    first = next(key for key in judged.hit if key[0] == table)
    for key, hit in judged.hit.items():
        if key[0] != table:
            continue
        change = estimate(hit - judged.hit[first], weights)
        other = np.sort(judged.posts[key], axis=1) != np.sort(judged.posts[first], axis=1)
        said = (
            "| | |"
            if key == first
            else f"| {change.value:+.5f} [{change.low:+.5f}, {change.high:+.5f}] "
            f"| {other.any(1).mean():.1%} |"
        )
        yield f"| {key[1]} | {hit.mean():.4f} {said} {judged.groups[key]:.2f} |"


def words_of(table: str, judged: Judged) -> str:
    """What a table is about."""
    splits = judged.trees.get(table)
    return table if splits is None else f"{table} (splits of its trees, by fold: {splits})"


HEAD = (
    "| {} | true hit rate | change | lists that differ | groups in a list |\n" + "| --- " * 5 + "|"
)


def print_network(name: str, params: Params, effects: Effects) -> None:
    """All tables of one network."""
    with tempfile.TemporaryDirectory(prefix="feedrank-lists-") as scratch:
        judged, repeats = judge_network(params, effects, Path(scratch))
    print(f"\n{name}, {len(judged.user):,} requests")
    for table in dict.fromkeys(key[0] for key in judged.hit):
        print(f"\n{HEAD.format(words_of(table, judged))}")
        print("\n".join(lines_of(table, judged, params)))
    print(f"\n{repeats}", flush=True)


def print_log(directory: Path, weeks: int, params: Params) -> None:
    """The table of repeated impressions of a log, of its last test weeks."""
    log = Log.open(directory)
    knowledge, rows = learn(log, params)
    assert isinstance(rows, TrainingRows)  # no other place was named
    print(repeats_table(knowledge, rows, _folds(log, params, weeks), params))


def main() -> None:
    """Print the tables of the networks, or of one log."""
    given = _arguments()
    params = load_params()
    one_thread_of_algebra()
    if given.log is not None:
        print_log(given.log, given.weeks, params)
        return
    for effects in given.effects:
        for seed in given.seeds:
            demo = replace(params.demo, users=given.users, seed=seed)
            name = f"{effects}, {given.users:,} users, seed {seed}"
            print_network(name, replace(params, demo=demo), EFFECTS[effects])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=5300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21])
    parser.add_argument("--effects", nargs="+", default=list(EFFECTS), choices=EFFECTS)
    parser.add_argument("--log", type=Path, help="directory of an extracted log")
    parser.add_argument("--weeks", type=int, default=4, help="test weeks of the log, from its end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
