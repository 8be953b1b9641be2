from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from feedrank.report import charts
from feedrank.report.drawing import svg

DOT = re.compile(r'<path transform="translate\(([\d.]+),([\d.]+)\)" d="M[^"]*A')


def _slices(**columns: list[float]) -> pd.DataFrame:
    table = pd.DataFrame({"value": ["a", "b"], "requests": [3, 2_632_000]})
    for kind in ("shown", "expected"):
        table = table.assign(**{kind: 0.5, f"{kind}_low": 0.4, f"{kind}_high": 0.6})
    return table.assign(**columns)


def test_a_missing_value_is_left_out_of_a_line() -> None:
    days = pd.DataFrame({"day": ["2021-12-01", "2021-12-02", "2021-12-03"]})
    drawn = svg(charts.like_rate_by_day(), days.assign(like_rate=[0.1, np.nan, 0.3]))
    assert "NaN" not in drawn
    assert len(DOT.findall(drawn)) == 2


def test_slices_that_were_not_judged_are_left_out() -> None:
    bare = {kind: [0.5, np.nan] for kind in ("shown", "expected")}
    drawn = svg(charts.slices(), _slices(**bare))
    assert ">a</text>" in drawn
    assert ">b</text>" not in drawn


def test_a_slice_that_one_hit_rate_does_not_judge_has_the_dot_of_the_other() -> None:
    nothing = {name: [0.5, np.nan] for name in ("shown", "shown_low", "shown_high")}
    drawn = svg(charts.slices(), _slices(**nothing))
    assert ">b</text>" in drawn
    assert len(DOT.findall(drawn)) == len(DOT.findall(svg(charts.slices(), _slices()))) - 1


def test_charts_of_one_domain_put_a_value_at_one_place() -> None:
    short, long = (
        DOT.findall(svg(charts.slices([0.0, 1.0], 0.5), _slices(value=names, expected_low=low)))
        for names, low in ((["a", "b"], [0.4, 0.4]), (["a", "much longer"], [0.1, 0.2]))
    )
    assert [x for x, _ in short] == [x for x, _ in long]
    assert len(short) == len(long) == 2 * 2 + 2  # and the dots of the legend


def test_names_and_counts_of_rows_stand_side_by_side() -> None:
    drawn = svg(charts.slices(), _slices(value=["161 to 320", "a < b"]))
    assert ">161 to 320</text>" in drawn
    assert ">a &lt; b</text>" in drawn
    assert ">2,632,000</text>" in drawn


def test_bars_are_as_long_as_their_values() -> None:
    table = pd.DataFrame({"feature": ["a", "b", "c"], "effect": [10.0, 5.0, 0.0]})
    drawn = svg(charts.importance(), table)
    bars = [float(w) for w in re.findall(r'd="M0,[\d.]+h([\d.]+)v10h', drawn)]
    assert bars[0] == pytest.approx(2 * bars[1], rel=1e-6)
    assert len(bars) == 2


def test_no_zone_of_the_machine_moves_a_day() -> None:
    code = (
        "import pandas as pd\n"
        "from feedrank.report import charts\n"
        "from feedrank.report.drawing import svg\n"
        "days = pd.DataFrame({'day': ['2021-12-01', '2021-12-02'], 'like_rate': [0.1, 0.2]})\n"
        "print(svg(charts.like_rate_by_day(), days))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"TZ": zone}, capture_output=True,
            text=True, check=True,
        ).stdout
        for zone in ("America/Los_Angeles", "Asia/Tokyo")
    }  # fmt: skip
    assert len(drawn) == 1
    assert ">Dec 1</text>" in drawn.pop()
