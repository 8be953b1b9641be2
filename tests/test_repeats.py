from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.repeats import repeats_table
from feedrank.folds import Calendar
from feedrank.learn import learn
from feedrank.rows import TrainingRows
from tests.small_artifact import small_params, write_log


@pytest.mark.parametrize("again", [0.0, 1.0])
def test_pairs_that_were_liked_before_are_held_against_what_was_expected(
    tmp_path, monkeypatch: pytest.MonkeyPatch, again: float
) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", "1")
    params = small_params()
    log = write_log(tmp_path / "log", params)
    knowledge, rows = learn(log, params)
    assert isinstance(rows, TrainingRows)
    pair = [f.name for f in knowledge.features].index("pair_liked")
    before = rows.matrix[:, pair] > 0
    fold = Calendar.of(log.meta, None, None).folds(1)[0]
    test = rows.at >= fold.cutoff
    # In the test week a second like always, or never.
    liked = np.where(before & test, again, rows.liked).astype(np.uint8)
    rows = replace(rows, liked=liked)
    table = repeats_table(knowledge, rows, [fold], params)
    found = {
        name: (int(n.replace(",", "")), float(rate), float(ratio))
        for name, n, rate, ratio in re.findall(
            r"^\| ([a-z, ]+) \| ([\d,]+) \| ([\d.]+) \| [\d.]+ \| ([\d.]+) \[", table, re.M
        )
    }
    n, rate, ratio = found["liked before"]
    assert n == (before & test).sum() > 20
    assert rate == again
    assert ratio == 0 if again == 0 else ratio > 2
    assert found["new to the user"][2] == pytest.approx(1, abs=0.25)
    assert sum(n for n, _, _ in found.values()) == test.sum()
