from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import vl_convert
import yaml
from dvc_render.vega import VegaRenderer

from feedrank.report.templates import FOLDER, PLOTS, exported

ROOT = Path(__file__).parents[2]
PLOTTED: dict[str, dict[str, Any]] = {
    about["template"]: about | {"title": title}
    for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    for title, about in plot.items()
}
# Rows as DVC reads them from a CSV file: all text, and nothing for what was not judged.
ROWS = {
    "hit_rate_by_day": [
        {"day": f"2021-12-0{day}", "fold": "0", "method": method, "rate": "0.6", "low": "0.5",
         "high": "0.7"}
        for day in (1, 2) for method in ("feedrank", "random")
    ],
    "slices": [
        {"by": by, "value": value, "requests": "1234", **{
            f"{kind}{end}": rate for kind in ("shown", "expected") for end in ("", "_low", "_high")
        }}
        for by, value, rate in (("age", "old", "0.5"), ("age", "young", ""), ("os", "iOS", "0.6"))
    ],
    "calibration": [{"predicted": p, "liked": p, "rows": "9"} for p in ("0.1", "0.2")],
    "learning_curve": [
        {"trees": str(n), "training": "0.35", "test": "0.38"} for n in range(3)
    ],
    "importance": [
        {"feature": "tiny", "effect": "5e-05"}, {"feature": "none", "effect": "0.0"},
        {"feature": "large", "effect": "0.3"},
    ],
    "like_rate_by_day": [{"day": f"2021-12-0{d}", "like_rate": f"0.{d}"} for d in (1, 2)],
}  # fmt: skip


def _drawn(name: str) -> str:
    """What `dvc plots diff` draws of two revisions, with the oldest Vega-Lite at hand."""
    about = PLOTTED[name]
    ((path, y),) = about["y"].items()
    rows = [row | {"rev": rev} for rev in ("workspace", "HEAD") for row in ROWS[name]]
    renderer = VegaRenderer(
        rows, path, x=about["x"], y=y, title=about["title"], template=name,
        template_dir=str(ROOT / FOLDER),
    )  # fmt: skip
    return vl_convert.vegalite_to_svg(renderer.get_filled_template(), vl_version="5.8")


def test_the_templates_are_those_of_the_charts() -> None:
    files = {path.name: path.read_bytes() for path in (ROOT / FOLDER).iterdir()}
    assert files == exported(), "run `python -m feedrank.report.templates`"


def test_every_template_is_plotted_and_every_plot_has_one() -> None:
    assert set(PLOTTED) == set(PLOTS) == set(ROWS)


@pytest.mark.parametrize("name", PLOTS)
def test_dvc_draws_a_chart_for_each_revision(name: str) -> None:
    drawn = _drawn(name)
    assert not re.search(r"NaN|undefined|DVC_METRIC", drawn)
    for words in ("workspace", "HEAD", PLOTTED[name]["title"]):
        assert f">{words}</text>" in drawn


def test_slices_of_each_kind_stand_together_without_those_not_judged() -> None:
    words = re.findall(r">([^<]+)</text>", _drawn("slices"))
    assert {"age", "os", "old", "iOS", "1,234"} <= set(words)
    assert "young" not in words


def test_features_are_sorted_by_number_not_by_text() -> None:
    words = re.findall(r">(tiny|large|none)</text>", _drawn("importance"))
    assert words == ["large", "tiny"]
