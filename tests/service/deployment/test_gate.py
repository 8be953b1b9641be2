"""The gate of a deployment, on directories that hold a verdict and no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import FORMAT
from feedrank.validation.results.requests_table import write_requests
from service.deployment import gate
from service.deployment.gate import reasons_against
from tests.support.request_tables import N, hits_table
from tests.support.small_artifact import LEAD, METRICS


def _artifact(directory: Path, requests: pd.DataFrame | None, **metrics: Any) -> Path:
    directory.mkdir()
    manifest = {"format": FORMAT, "features": [], "files": {}, "recommend": {}}
    manifest["metrics"] = METRICS | metrics
    (directory / "manifest.json").write_text(json.dumps(manifest))
    if requests is not None:
        write_requests(directory / "requests.parquet", requests)
    return directory


def _lead(value: float) -> dict[str, float]:
    return {name: found + value for name, found in LEAD.items()}


def test_a_good_artifact_goes_live(tmp_path: Path) -> None:
    live, new = (_artifact(tmp_path / name, hits_table()) for name in ("live", "new"))
    assert reasons_against(new, None) == reasons_against(new, live) == []


def test_severe_warnings_and_no_verdict_at_all_are_reasons(tmp_path: Path) -> None:
    bad = _artifact(tmp_path / "bad", None, severe=["The labels are empty."])
    assert reasons_against(bad, None) == ["The labels are empty."]
    manifest = json.loads((bad / "manifest.json").read_text()) | {"metrics": {}}
    (bad / "manifest.json").write_text(json.dumps(manifest))
    assert "holds no verdict of its validation" in reasons_against(bad, None)[0]


def test_being_behind_a_rule_without_a_ranker_is_a_reason(tmp_path: Path) -> None:
    leads = {"random": LEAD, "most_liked": _lead(-0.3)}
    bad = _artifact(tmp_path / "bad", None, **{"lead@5": leads})
    (reason,) = reasons_against(bad, None)
    assert reason.startswith("It is significantly behind 'most_liked', by expected@5: -0.200 [")


def test_a_loss_on_the_same_requests_is_a_reason_and_a_gain_is_none(tmp_path: Path) -> None:
    worse = _artifact(tmp_path / "worse", hits_table())
    better = _artifact(tmp_path / "better", hits_table(gain=0.06))
    assert [r.split(" beats")[0] for r in reasons_against(worse, better)] == [
        "On 900 requests that both answered, the live one",
        "On 821 requests that both answered, the live one",
    ]
    assert reasons_against(better, worse) == []


def test_a_void_estimate_is_no_reason(tmp_path: Path) -> None:
    void = {"expected_is_void": True}
    live = _artifact(tmp_path / "live", hits_table().assign(**void))
    lower = hits_table().assign(**void, list=9)
    lower["feedrank/expected@5"] -= 0.3
    assert reasons_against(_artifact(tmp_path / "new", lower, headline="shown"), live) == []


def test_without_common_requests_the_live_one_answers_those_after_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = hits_table()
    later["at"] += pd.Timedelta(days=30)
    # Its leads of better weeks are of other weeks.
    live = _artifact(tmp_path / "live", hits_table(), **{"lead@5": {"most_liked": _lead(0.2)}})
    new = _artifact(tmp_path / "new", later)
    monkeypatch.setattr(Artifact, "load", lambda directory: directory)

    def answers(gain: float) -> None:
        hits = hits_table(gain)[["user_id", "at", "feedrank/shown@5"]]
        of_live = hits.assign(at=later["at"])
        asked = (live, new, 5)
        monkeypatch.setattr(
            gate,
            "hits_of_champion",
            lambda live, new, table, k: of_live if (live, new, k) == asked else table[:0],
        )

    answers(0.0)
    assert reasons_against(new, live) == []
    answers(0.06)
    (reason,) = reasons_against(new, live)
    assert reason.startswith("On 821 requests that both answered, the live one beats it by 0.0")
    assert reason.endswith("of shown@5.")


def test_where_the_live_one_cannot_answer_the_leads_decide(tmp_path: Path) -> None:
    other = hits_table()
    other["at"] += pd.Timedelta(minutes=1)
    live = _artifact(tmp_path / "live", hits_table(), **{"lead@5": {"most_liked": _lead(0.2)}})
    new = _artifact(tmp_path / "new", other)
    (reason,) = reasons_against(new, live)
    assert "lies below the live one's, +0.300 [+0.250, +0.350]" in reason
    assert reasons_against(live, new) == []


def test_a_live_one_of_older_code_or_of_lists_of_another_length_refuses_nothing(
    tmp_path: Path,
) -> None:
    longer = hits_table().rename(columns=lambda name: name.replace("@5", "@10"))
    leads = {"hitrate@10": {}, "lead@10": {}}
    live = _artifact(tmp_path / "live", longer)
    values = json.loads((live / "manifest.json").read_text())
    kept = {k: v for k, v in values["metrics"].items() if not k.endswith("@5")}
    (live / "manifest.json").write_text(json.dumps(values | {"metrics": kept | leads}))
    new = _artifact(tmp_path / "new", hits_table())
    assert reasons_against(new, live) == []
    (live / "manifest.json").write_text(json.dumps(values | {"format": FORMAT - 1}))
    assert reasons_against(new, live) == []


@pytest.mark.parametrize("n_judged", [1, 49])
def test_few_judged_requests_refuse_nothing(tmp_path: Path, n_judged: int) -> None:
    def table(hit: float) -> pd.DataFrame:
        hits = np.where(np.arange(N) < n_judged, hit, np.nan)
        return hits_table().assign(**{"feedrank/shown@5": hits, "list": int(hit)})

    live = _artifact(tmp_path / "live", table(1.0).assign(expected_is_void=True))
    bare = {f"shown{end}": None for end in ("_low", "_high")}
    leads = {"random": LEAD | bare | {"shown": -1.0}}
    new = _artifact(tmp_path / "new", table(0.0), headline="shown", **{"lead@5": leads})
    assert reasons_against(new, live) == []
