"""False and true alarms of the tests of the feed, on random feeds and on others.

    python -m benchmarks.quality.randomness      # 20 random feeds of two kinds, 3 of each other:
    15 minutes

Networks of 1,200 users, 600 posts and 30 days, with the parameters of the pipeline. The error is
our `hitrate@5/expected` less the true hit rate.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from feedrank.demo.simulation import Network
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import TrainingRows
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.impressions import Impressions
from feedrank.oracle.true_hit_rates import true_hits
from feedrank.params import DemoParams, Params, load_params
from feedrank.validation.feed.randomness import Finding
from feedrank.validation.fold import joined, run_fold
from feedrank.validation.hitrate.scores import score
from feedrank.validation.methods import OURS
from tests.support.network.feeds import FEEDS
from tests.support.network.log_files import write_simulated_log

# Seeds beyond those of tests/validation/hitrate. Of 20 random feeds with ten tests each, one false
# alarm would be one in 200; a feed that is not random must be found by each of three.
FIRST_SEED, N_RANDOM, N_OTHERS, REQUESTS = 300, 20, 3, 800
RANDOM = ("random", "shuffled")


@dataclass(frozen=True)
class Tested:
    """Findings of one feed, and the error of `expected` there."""

    findings: Sequence[Finding]
    error: float


def tested(kind: str, seed: int, params: Params, scratch: Path) -> Tested:
    """The last fold of a network whose feed is of that kind."""
    demo = DemoParams(kind="course", seed=seed, users=1_200, posts=600, days=30, effect_scale=1.0)
    network = Network.simulate(demo)
    random = Impressions.joined(network.impressions())
    rows = FEEDS[kind](network, random, np.random.default_rng(seed)).sorted()
    log = write_simulated_log(network, scratch / "log", 2, rows)
    store = fit_store(log, params)
    training = training_rows(log, store, params)
    assert isinstance(training, TrainingRows)  # no other place was named
    (scratch / "features").mkdir()
    store.save(scratch / "features")
    fold = Calendar.of(log.meta, None, None).folds(1)[0]
    result = run_fold(log, scratch / "features", training, fold, params)  # fmt: skip
    true = true_hits(network.truth, log, [result], params.validate.k[0])[OURS].mean()
    scores = score(joined([result]), result.names, params.validate.k[0], params.validate, (OURS,))
    return Tested(result.randomness, scores.methods[OURS].expected.value - float(true))


def feed_line(kind: str, found: Sequence[Tested]) -> str:
    """Tests that fire on feeds of one kind, and the error of `expected`."""
    fired = [sum(not f.is_fair for f in one.findings) > 0 for one in found]
    names = sorted({f.name for one in found for f in one.findings if not f.is_fair})
    by_name = (f"`{n}` {sum(n == f.name and not f.is_fair for o in found for f in o.findings)}"
               for n in names)  # fmt: skip
    error = np.array([one.error for one in found])
    return (f"| {kind} | {sum(fired)} of {len(found)} | {', '.join(by_name) or 'none'} "
            f"| {error.mean():+.3f} ({error.std(ddof=1) / np.sqrt(len(error)):.3f}) |")  # fmt: skip


def test_lines(found: Sequence[Tested]) -> list[str]:
    """Size and z of each test, over feeds of one kind."""
    lines = []
    for name in dict.fromkeys(f.name for one in found for f in one.findings):
        some = [f for one in found for f in one.findings if f.name == name and f.size == f.size]
        size, z = (np.array([getattr(f, of) for f in some]) for of in ("size", "z"))
        lines.append(
            f"| `{name}` | {len(some)} | {size.mean():+.3f} | {size.min():+.3f} to "
            f"{size.max():+.3f} | {z.mean():+.2f} | {z.std():.2f} "
            f"| {z.min():+.1f} to {z.max():+.1f} |"
        )
    return lines


def main() -> None:
    """Print a table by feed, and one by test for each kind of feed that is asked for."""
    given = _arguments()
    params = load_params()
    validate = replace(params.validate, requests=REQUESTS, bootstrap=100)
    params = replace(params, validate=validate)
    one_thread_of_algebra()
    tables = []
    print("| feed | alarms | tests that fire | error of expected (standard error) |\n"
          + "| --- " * 4 + "|", flush=True)  # fmt: skip
    for kind in given.feeds:
        found = []
        for seed in range(FIRST_SEED, FIRST_SEED + (N_RANDOM if kind in RANDOM else N_OTHERS)):
            with tempfile.TemporaryDirectory(prefix="feedrank-randomness-") as scratch:
                found.append(tested(kind, seed, params, Path(scratch)))
        print(feed_line(kind, found), flush=True)
        head = "| test | feeds | size | | z | spread of z | |\n" + "| --- " * 7 + "|"
        tables.append("\n".join([f"\n{kind}:\n", head, *test_lines(found)]))
    print("\n".join(tables))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--feeds", nargs="+", default=list(FEEDS), choices=FEEDS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
