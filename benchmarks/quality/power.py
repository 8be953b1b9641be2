"""Power: how often a true lead of ours is found, at several sizes, on the requests of a run.

    python -m benchmarks.quality.power                  # of reports/, against most liked

Requests are drawn by user, with replacement, from `reports/requests.parquet`, their lead moved to
the true one. `expected` has a doubt that no request tells, known for the run's own size alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from feedrank.stats.decisions import decision
from feedrank.stats.intervals import Z95
from feedrank.validation.methods import OURS
from feedrank.validation.results.requests_table import column

REPORTS = Path("reports")
LEADS = (0.01, 0.02, 0.05)
SHARES = {"shown": (0.1, 1.0, 10.0), "expected": (1.0,)}  # of the run's users
TRIALS = 400  # a power of .5 is known to .025


def power(
    by_user: pd.DataFrame, lead: float, n_users: int, doubt: float, rng: np.random.Generator
) -> float:
    """Share of trials in which ours is found ahead.

    Args:
        by_user: sum and count of paired differences, whose mean is 0.
        lead: true.
        n_users: drawn in each trial.
        doubt: standard deviation of the difference beside the sampling of requests.
        rng: of the draws.
    """
    total, n = by_user["sum"].to_numpy(), by_user["count"].to_numpy()
    found = 0
    for _ in range(TRIALS):
        some = rng.integers(0, len(n), n_users)
        mean = total[some].sum() / n[some].sum()
        error = np.sqrt(np.sum((total[some] - mean * n[some]) ** 2)) / n[some].sum()
        half = Z95 * np.hypot(error, doubt)
        value = mean + lead + doubt * rng.standard_normal()
        found += decision(value, value - half, value + half) == "ahead"
    return found / TRIALS


def main() -> None:
    """Print a table, a line for each hit rate and size."""
    other = _arguments().other
    table = pd.read_parquet(REPORTS / "requests.parquet")
    said = json.loads((REPORTS / "metrics.json").read_text())["lead@5"][other]
    rng = np.random.default_rng(1)
    print(f"| hit rate | requests | width | {' | '.join(f'{x:g}' for x in LEADS)} |")
    print("| --- " * (3 + len(LEADS)) + "|")
    for kind, shares in SHARES.items():
        lead = table[column(OURS, kind, 5)] - table[column(other, kind, 5)]
        by_user = (lead - lead.mean()).groupby(table["user_id"]).agg(["sum", "count"])
        error = np.sqrt(np.sum(by_user["sum"] ** 2)) / by_user["count"].sum()
        whole = (said[f"{kind}_high"] - said[f"{kind}_low"]) / 2 / Z95
        doubt = np.sqrt(max(whole**2 - error**2, 0.0)) if kind == "expected" else 0.0
        for share in shares:
            n_users = round(share * len(by_user))
            width = 2 * Z95 * np.hypot(error / np.sqrt(share), doubt)
            powers = (power(by_user, x, n_users, doubt, rng) for x in LEADS)
            cells = " | ".join(f"{p:.0%}" for p in powers)
            print(f"| `{kind}` | {share * lead.count():,.0f} | {width:.3f} | {cells} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--other", default="most_liked", help="method that ours is compared with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
