"""Coverage: how often the interval of the whole estimate covers the truth, on simulated networks.

python -m pytest -m slow tests/validation/hitrate/test_coverage.py -s   prints each method
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from feedrank.validation.hitrate.scores import score
from tests.support.network.known_truth import KINDS, K, known_truth, outcomes

SEEDS = range(600, 605)  # one network each


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_interval_of_expected_covers_the_truth(name: str, tmp_path: Path) -> None:
    found = defaultdict(list)
    for seed in SEEDS:
        known = known_truth(KINDS[name], seed, tmp_path / str(seed))
        scores = score(known.replayed, known.names, K, known.validate, None, known.others)
        for method, outcome in outcomes(known, scores).items():
            found[method].append(outcome)
    print(f"\n| {name} | covered | mean error | root mean square | width |")
    print("| --- | --- | --- | --- | --- |")
    for method, of_method in found.items():
        error = np.array([o.error for o in of_method])
        print(
            f"| {method} | {sum(o.covers for o in of_method)} of {len(error)} "
            f"| {error.mean():+.3f} | {np.sqrt(np.mean(error**2)):.3f} "
            f"| {np.mean([o.width for o in of_method]):.3f} |"
        )
    covers = [o.covers for of_method in found.values() for o in of_method]
    assert np.mean(covers) >= KINDS[name].least
