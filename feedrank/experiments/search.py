"""Search for parameters of training and lists, on weeks before those of validation.

    python -m feedrank.experiments.search --trials 24      (or: make search WITH='--trials 24')

Optuna proposes (the tree-structured Parzen estimator); the first trial has the parameters of
`params.yaml`. Each trial trains before test weeks that end where the first one of `dvc repro`
begins, so that validation stays out of sample. Trials answer requests of one half of the users, by
a hash of their ids. The best one is then compared with the present parameters on those of the other
half in the same weeks, since the best of many is biased upwards (selection bias, winner's curse).
The study is kept in `data/search.sqlite`; the same command continues it. A
finished `dvc repro` and `requirements-search.txt` are required.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import command
from feedrank.experiments.space import SPACE, applied, present, settings
from feedrank.experiments.studies import Search, choice_of, head_of, name_of
from feedrank.experiments.tuning_folds import BETTER, NOW, EarlierWeeks
from feedrank.features.row_files import load_rows
from feedrank.io.progress import log_to_stderr
from feedrank.io.writer_lock import LOCK, one_writer
from feedrank.log.files import Log
from feedrank.params import Params, load_params
from feedrank.stats.intervals import Estimate
from feedrank.validation.hitrate.scores import KINDS
from feedrank.validation.methods import OURS
from feedrank.validation.results.leads import decision_by

LOG, FEATURES, ROWS = (Path("data") / name for name in ("log", "features", "rows"))
STUDIES = Path("data/search.sqlite")
OF_TRAINING = tuple(name for name in SPACE if name.startswith("train."))
OF_TRIALS, OF_CHECK = 0, 1  # halves of the users
FAILED = 2


def rates_of(weeks: EarlierWeeks, params: Params) -> dict[str, float]:
    """The hit rates by kind under some parameters."""
    hits = weeks.scores(params).methods[OURS].by_request
    return {kind: float(np.nanmean(hits[kind])) for kind in KINDS}


def gain_of(weeks: EarlierWeeks, now: Params, better: Params, kind: str) -> Estimate:
    """Hit rate of the second less that of the first in these weeks, with the paired interval."""
    return weeks.compared(now, better).lead(BETTER, NOW, kind)


def last_words(choice: dict[str, float], gain: Estimate, kind: str) -> str:
    """Gain of the best trial and, if there is one, the experiment that tries it in later weeks."""
    verdict = decision_by(kind, gain.value, gain.low, gain.high)
    found = (
        f"for the other half of the users the best trial gains {gain.words('+.4f')} of {kind} in "
        f"these weeks: {verdict}. "
    )
    if verdict != "ahead":
        return f"{found}Nothing is gained that could be told: `params.yaml` stays."
    return (
        f"{found}Let the weeks of validation decide:\n\n"
        f"FEED_OFFLINE=1 dvc exp run -n searched {settings(choice)}\n"
        "make compare A=HEAD B=searched"
    )


@command(FAILED)
def main(words: Sequence[str] | None = None) -> int:
    """Search, print all trials and how to run the best one; gives the exit code."""
    given = _arguments(words)
    log_to_stderr()
    one_thread_of_algebra()
    with one_writer(LOCK):
        return _search(given)


def _search(given: argparse.Namespace) -> int:
    params = load_params()
    log, rows = Log.open(LOG), load_rows(ROWS)
    weeks_of = partial(EarlierWeeks.of, log, FEATURES, rows, n_folds=given.weeks)
    conditions = (given.weeks, "half of the users", log.meta.as_json())
    name = name_of(params, given.over, given.kind, *conditions)
    search = Search(STUDIES, name, params, given.over, given.kind, given.seed)
    print(head_of(given.over), flush=True)
    trials = weeks_of(params, half=OF_TRIALS)
    best = choice_of(search.run(partial(rates_of, trials), given.trials))
    if best == present(given.over, params):
        print("no trial beats the parameters of `params.yaml`")
        return 0
    check = weeks_of(params, half=OF_CHECK)
    gain = gain_of(check, params, applied(best, params), given.kind)
    print(f"\n{last_words(best, gain, given.kind)}")
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=_count, default=24, help="in all, previous runs included")
    parser.add_argument(
        "--over", nargs="+", default=OF_TRAINING, choices=SPACE, help="parameters that are chosen"
    )
    parser.add_argument("--kind", choices=KINDS, default="shown", help="hit rate to be maximised")
    parser.add_argument("--weeks", type=_count, default=2, help="test periods, before validation's")
    parser.add_argument("--seed", type=_seed, default=20, help="of the proposals")
    return parser.parse_args(words)


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} must be 1 or more")
    return int(word)


def _seed(word: str) -> int:
    if not word.isdecimal() or int(word) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{word!r} must be from 0 to {(1 << 32) - 1}")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
