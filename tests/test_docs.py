"""README and docs name only what exists, numbers are the measured ones, examples run."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from feedrank.artifact.artifact import Artifact
from feedrank.params import load_params
from service.settings import PREFIX, Settings
from tests.support.small_artifact import small_artifact

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
METRICS = json.loads((ROOT / "reports" / "metrics.json").read_text())


def _rows(text: str) -> dict[str, list[str]]:
    rows = re.findall(r"^\| `?([a-z_]+)`? \|(.*)\|$", text, re.M)
    return {name: [cell.strip().strip("*") for cell in cells.split("|")] for name, cells in rows}


def test_every_number_of_the_results_is_the_measured_one() -> None:
    table = _rows(README[README.index("## Results") : README.index("## How it works")])
    values = {"feedrank": METRICS["hitrate@5"], **METRICS["baselines@5"]}
    true = METRICS["demo"]["true"]
    assert {"feedrank", "random", "most_liked", "classic", "oracle"} <= table.keys()
    table.pop("method")
    for name, (expected, shown, truth) in table.items():
        assert truth == f"{true[name]:.3f}", name
        if name in values:
            assert expected == f"{values[name]['expected']:.3f}", name
            assert shown == f"{values[name]['shown']:.3f}", name


def test_the_sentence_below_the_results_is_the_measured_one() -> None:
    def words(of: dict[str, float], kind: str) -> str:
        return f"{of[kind]:.3f} [{of[f'{kind}_low']:.3f}, {of[f'{kind}_high']:.3f}]"

    ours, lead = METRICS["hitrate@5"], METRICS["lead@5"]
    said = " ".join(README.split())
    assert f"Expected is {words(ours, 'expected')} over {ours['n_requests']:,} requests" in said
    for name in ("most_liked", "classic"):
        for kind in ("expected", "shown"):
            assert words(lead[name], kind) in said, (name, kind)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_rows_of_a_table_have_as_many_cells_as_its_head(path: Path) -> None:
    n_cells = 0
    for line in path.read_text().splitlines():
        is_row = line.startswith("|")
        found = re.sub(r"`[^`]*`|\\\|", "", line).count("|") if is_row else 0
        assert not (n_cells and found) or found == n_cells, line
        n_cells = found


def test_every_key_of_the_headline_is_described() -> None:
    text = (ROOT / "docs" / "validation.md").read_text()
    table = text[text.index("The keys of") : text.index("## Three hit rates")]
    headline = json.loads((ROOT / "reports" / "headline.json").read_text())
    assert {key for key in headline if f"`{key}`" not in table} == set()


def test_every_parameter_is_described() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    load_params(ROOT / "params.yaml")
    missing = [
        f"{group}.{key}"
        for group, keys in params.items()
        for key in keys
        if f"`{key}`" not in README[README.index("## Parameters") :]
    ]
    assert missing == []


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_parameter_named_exists(path: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    known = {f"{group}.{key}" for group, keys in params.items() for key in keys}
    groups = "|".join(params)
    named = re.findall(rf"(?:`|-S '?)((?:{groups})\.[a-z_]+)(?=[`=])", path.read_text())
    assert set(named) <= known


def test_every_stage_is_named_and_no_other() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    named = set(re.findall(r"stages\.([a-z]+)", README)) - {"run"}
    assert named <= stages
    assert all(f"`{stage}`" in README for stage in stages)


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in DOCS:
        assert set(re.findall(r"`make ([a-z-]+)", path.read_text())) <= targets, path.name


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_module_and_folder_named_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:feedrank|service|stages|tests|benchmarks)/[\w/.]*)`", path.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_command_of_ours_named_exists() -> None:
    for path in (*DOCS, ROOT / "Makefile"):
        named = re.findall(
            r"python -m ((?:feedrank|service|stages|benchmarks)[\w.]*)", path.read_text()
        )
        places = {n: ROOT / n.replace(".", "/") for n in named}
        missing = [
            n
            for n, place in places.items()
            if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists())
        ]
        assert missing == [], path.name


def test_what_runs_again_is_what_the_pipeline_says() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    rows = re.findall(r"^\| ((?:`[\w./]+`(?:, )?)+) \| [^|]* \| ?([^|]*) \|$", text, re.M)
    assert len(rows) > 15
    for packages, words in rows:
        named = set(stages) if words.strip() == "all" else set(re.findall(r"`(\w+)`", words))
        for package in re.findall(r"`([\w./]+)`", packages):
            code = f"feedrank/{package.rstrip('/')}"
            assert named == {s for s, stage in stages.items() if code in stage["deps"]}, package


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_every_linked_file_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_variable_named_is_read_somewhere() -> None:
    code = "".join(
        p.read_text() for d in ("feedrank", "stages", "service") for p in (ROOT / d).rglob("*.py")
    )
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    table = (ROOT / "docs" / "service.md").read_text()
    named = set(re.findall(r"`(FEED[A-Z_]+)`", README + table))
    assert [name for name in named if name not in code and name not in settings] == []
    assert settings <= named


WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("feedrank", "service")
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What examples may use without saying where it is from: a small network's recommender."""
    artifact = Artifact.load(small_artifact() / "artifact")
    user_id = int(artifact.store.catalogue.user_ids[0])
    return {"recommender": artifact.recommender, "user_id": user_id}


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_every_example_gives_what_it_says(module: str, names: dict[str, Any]) -> None:
    found = doctest.testmod(importlib.import_module(module), extraglobs=names)
    assert found.attempted > 0
    assert found.failed == 0


def test_what_helps_most_has_an_example() -> None:
    assert {"feedrank.features.spec", "feedrank.ranking.recommender"} <= set(WITH_EXAMPLES)
