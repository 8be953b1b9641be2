"""Says in words whether run B beats run A, request by request, and refuses a worse one.

    python -m feedrank.experiments.compare A B      (or: make compare A=... B=...)

A and B are git revisions, experiments, or 'workspace'. The exit code is 0 if B is taken, 1 if it
is refused, 2 if the two cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from feedrank.errors import FeedrankError
from feedrank.experiments.pairs import Pairs, is_refused, kind_of
from feedrank.experiments.revisions import WORKSPACE, requests_at
from feedrank.params import load_params

REFUSED, FAILED = 1, 2


def main(words: Sequence[str] | None = None) -> int:
    """Print the comparison; gives the exit code."""
    given = _arguments(words)
    try:
        params = load_params().validate
        pairs = Pairs.of(requests_at(given.a), requests_at(given.b), given.bootstrap, params.seed)
        decisive = [pairs.difference(kind_of(kind, params.k[0])) for kind in given.kind]
        lines = [pairs.difference(kind).line() for kind in pairs.kinds()]
    except FeedrankError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    n_users = pairs.a.index.get_level_values("user_id").nunique()
    print(
        f"A = {given.a}, {pairs.n_a} requests; B = {given.b}, {pairs.n_b} requests; "
        f"{len(pairs.a)} in common, of {n_users} users, who are resampled for 95 % intervals"
    )
    if (n_differ := pairs.n_lists_that_differ()) is not None:
        print(f"the lists hold other posts in {n_differ} of {len(pairs.a)} requests")
    print("\n".join(lines))
    refusing = [d for d in decisive if is_refused(d, given.tolerance, given.refuse)]
    reasons = "; ".join(f"by {d.kind}, {d.words()}" for d in refusing or decisive)
    print(
        f"{'refused' if refusing else 'taken'}: {reasons}. "
        f"B is refused if by {' or '.join(d.kind for d in decisive)} it {_RULES[given.refuse]} "
        f"{given.tolerance:g}"
    )
    return REFUSED if refusing else 0


_RULES = {
    "worse": "surely loses more than",
    "doubtful": "may lose more than",
}


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("a", nargs="?", default="HEAD")
    parser.add_argument("b", nargs="?", default=WORKSPACE)
    parser.add_argument(
        "--kind",
        nargs="+",
        default=["expected", "shown"],
        help="hit rates that decide: expected, shown, catalogue, or of another k, shown@3",
    )
    parser.add_argument("--tolerance", type=float, default=0.0, help="a loss that does not matter")
    parser.add_argument("--refuse", choices=tuple(_RULES), default="worse")
    parser.add_argument("--bootstrap", type=int, default=2_000, help="resamples of users")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
