"""False and true alarms of the tests of the feed, on random feeds and on others.

    python -m benchmarks.quality.randomness      # 60 networks: five minutes

Networks of 1,200 users, 600 posts and 30 days, with the parameters of the pipeline.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from feedrank.demo.kinds import KINDS
from feedrank.demo.simulation import Network
from feedrank.demo.truth import Effects
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.params import DemoParams, Params, load_params
from feedrank.validation.feed.randomness import Finding, randomness_of
from feedrank.validation.replay.period import requests_in, test_steps
from tests.support.network.feeds import FEEDS, store_of
from tests.support.network.log_files import write_simulated_log

# Seeds by which nothing was chosen. Of 20 random feeds with twelve tests each, one false alarm
# would be one in 240.
FIRST_SEED, N_NETWORKS = 300, 20
LIKES = {
    "course": Effects(),
    "weak taste of age": Effects(age_clusters=0.2),
    "strong tastes": KINDS["interests"].effects,
}
# The first of each are random given profile, whatever likes depend on.
FEEDS_OF = {
    "strong tastes": ("by age", "by gender and os", "true tastes", "liked clusters"),
    "weak taste of age": ("by age", "true tastes"),
    "course": (
        *("random", "shuffled", "by gender", "liked again", "follows likes", "private halves"),
        "by day",
    ),
}


@dataclass(frozen=True)
class Tested:
    """Findings of one feed, and the profile columns that it was found to depend on."""

    findings: Sequence[Finding]
    columns: tuple[str, ...]
    n_strata: int

    @property
    def fired(self) -> list[str]:
        """Tests by which the feed is not random."""
        return [f.name for f in self.findings if not f.is_fair]


def tested(likes: str, seed: int, params: Params, scratch: Path) -> Iterator[Tested]:
    """The last fold of one network, by each of its feeds.

    What is fitted, which only `past_likes` reads, is of the network's own feed.
    """
    demo = DemoParams(kind="course", seed=seed, users=1_200, posts=600, days=30, effect_scale=1.0)
    network = Network.simulate(demo, LIKES[likes])
    random = Impressions.joined(network.impressions())
    fitted = fit_store(write_simulated_log(network, scratch / "log", 2, random.sorted()), params)
    for feed in FEEDS_OF[likes]:
        rows = FEEDS[feed](network, random, np.random.default_rng(seed)).sorted()
        log = write_simulated_log(network, scratch / feed, 2, rows)
        store = store_of(fitted, log, params.features.segments)
        fold = Calendar.of(log.meta, None, None).folds(1)[0]
        period = requests_in(log, store, fold, params.validate)
        strata, steps = period.strata, test_steps(store, fold)
        users = np.unique(period.requests.user)
        names = tuple(store.fitted.column_names[column] for column in strata.columns)
        yield Tested(randomness_of(store, users, strata, steps), names, strata.n)


def feed_line(name: str, found: Sequence[Tested]) -> str:
    """Alarms on feeds of one kind, tests that fire, and columns that the feed depends on."""
    fired, columns = Counter(n for t in found for n in t.fired), Counter(t.columns for t in found)
    strata = f"{min(t.n_strata for t in found)} to {max(t.n_strata for t in found)}"
    return (
        f"| {name} | {sum(bool(t.fired) for t in found)} of {len(found)} "
        f"| {', '.join(f'`{n}` {c}' for n, c in sorted(fired.items())) or 'none'} "
        f"| {', '.join(f'{_and(n)} {c}' for n, c in columns.most_common())} | {strata} |"
    )


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "none"


def main() -> None:
    """Print a line for each kind of feed."""
    given = _arguments()
    params = load_params()
    # Only `past_likes` reads what is fitted, and the clusters of one refit do for it.
    params = replace(params, features=replace(params.features, refits=1))
    one_thread_of_algebra()
    print("| feed | alarms | tests that fire | depends on | strata |\n" + "| --- " * 5 + "|")
    for likes, feeds in FEEDS_OF.items():
        found = []
        for seed in range(given.seed, given.seed + given.networks):
            with tempfile.TemporaryDirectory(prefix="feedrank-randomness-") as scratch:
                found.append(list(tested(likes, seed, params, Path(scratch))))
        for feed, of_feed in zip(feeds, zip(*found, strict=True), strict=True):
            print(feed_line(f"{feed}, {likes}", of_feed), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--networks", type=int, default=N_NETWORKS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
