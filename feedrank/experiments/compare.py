"""Comparison of two runs, request by request: whether B beats A, and whether a build takes it.

    python -m feedrank.experiments.compare A B      (or: make compare A=... B=...)

A and B are git revisions, experiments, or 'workspace'. The exit code is 0 if B is taken, 1 if it
is refused, 2 if the two cannot be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from feedrank.errors import command
from feedrank.experiments.comparison.difference import Difference, is_refused
from feedrank.experiments.comparison.pairs import RESAMPLES, Pairs, kind_of
from feedrank.experiments.revisions import WORKSPACE, requests_at
from feedrank.params import load_params
from feedrank.stats.decisions import EQUAL
from feedrank.validation.hitrate.scores import KINDS

REFUSED, FAILED = 1, 2
# An end of an interval is then the second or third of 100 sorted means; fewer have no such rank.
FEWEST_RESAMPLES = 100
MUCH_IN_COMMON = 0.5  # of the requests: below, most of a run is not compared, hence a warning


@command(FAILED)
def main(words: Sequence[str] | None = None) -> int:
    """Print the comparison; gives the exit code."""
    given = _arguments(words)
    seed = load_params().validate.seed
    pairs = Pairs.of(requests_at(given.a), requests_at(given.b), given.bootstrap, seed)
    k = pairs.first_k()
    names = given.kind or pairs.decisive()
    decisive = [pairs.deciding(kind_of(kind, k)) for kind in names]
    lines = [pairs.difference(kind).line(_enough(given)) for kind in pairs.kinds()]
    print("\n".join([*_head(pairs, given, k), *lines, *_warnings(pairs)]))
    refusing = [d for d in decisive if is_refused(d, given.tolerance, given.refuse)]
    print(_verdict(refusing, decisive, given))
    return REFUSED if refusing else 0


def _enough(given: argparse.Namespace) -> float:
    """The tolerance within which the two are called equal."""
    return given.tolerance or EQUAL


def _head(pairs: Pairs, given: argparse.Namespace, k: int) -> list[str]:
    """The requests compared, and the number whose lists of k differ."""
    n_users = pairs.a.index.get_level_values("user_id").nunique()
    lines = [
        f"A = {given.a}, {pairs.n_a} requests; B = {given.b}, {pairs.n_b} requests; "
        f"{len(pairs.a)} in common, of {n_users} users, who are resampled for 95 % intervals"
    ]
    if (n_differ := pairs.n_lists_that_differ(k)) is not None:
        lines.append(f"the lists hold other posts in {n_differ} of {len(pairs.a)} requests")
    return lines


def _warnings(pairs: Pairs) -> list[str]:
    """Reasons why the comparison may mislead."""
    lines = []
    if pairs.share_in_common() < MUCH_IN_COMMON:
        lines.append(
            f"WARNING: only {pairs.share_in_common():.0%} of the requests are in common: the "
            "comparison is of these alone"
        )
    if n_differ := pairs.n_outcomes_that_differ():
        lines.append(
            f"WARNING: other posts were shown or liked in {n_differ} of {len(pairs.a)} requests: "
            "the runs are not of the same log"
        )
    return lines


def _verdict(
    refusing: Sequence[Difference], decisive: Sequence[Difference], given: argparse.Namespace
) -> str:
    reasons = "; ".join(f"by {d.kind}, {d.words(_enough(given))}" for d in refusing or decisive)
    return (
        f"{'refused' if refusing else 'taken'}: {reasons}. "
        f"B is refused if by {' or '.join(d.kind for d in decisive)} it {_RULES[given.refuse]} "
        f"{given.tolerance:g}"
    )


_RULES = {
    "worse": "significantly loses more than",
    "doubtful": "may lose more than",
}


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("a", nargs="?", default="HEAD")
    parser.add_argument("b", nargs="?", default=WORKSPACE)
    parser.add_argument(
        "--kind",
        nargs="+",
        type=_kind,
        help="hit rates that decide: expected, shown, catalogue, or of another k, shown@3; by "
        "default expected and shown, and shown alone where expected is void",
    )
    parser.add_argument(
        "--tolerance", type=_tolerance, default=0.0, help="a loss that does not matter, 0 or more"
    )
    parser.add_argument("--refuse", choices=tuple(_RULES), default="worse")
    parser.add_argument(
        "--bootstrap",
        type=_resamples,
        default=RESAMPLES,
        help=f"resamples of users, {FEWEST_RESAMPLES} or more",
    )
    return parser.parse_args(words)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"must be a finite number of 0 or more, not '{text}'")
    return value


def _resamples(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_RESAMPLES:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of {FEWEST_RESAMPLES} or more, not '{text}'"
        )
    return int(text)


def _kind(text: str) -> str:
    if text.partition("@")[0] not in KINDS:
        raise argparse.ArgumentTypeError(f"must be {' or '.join(KINDS)}, not '{text}'")
    return text


if __name__ == "__main__":
    sys.exit(main())
