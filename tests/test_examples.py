"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from typing import Any

import pytest

from feedrank.artifact.artifact import Artifact
from tests.support.small_artifact import small_params, write_artifact

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("feedrank", "service")
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What examples may use without saying where it is from: a small network's recommender."""
    scratch = tmp_path_factory.mktemp("scratch")
    artifact = Artifact.load(write_artifact(scratch / "artifact", scratch, small_params()))
    user_id = int(artifact.store.catalogue.user_ids[0])
    return {"recommender": artifact.recommender, "user_id": user_id}


@pytest.mark.parametrize("module", MODULES)
def test_every_example_gives_what_it_says(module: str, names: dict[str, Any]) -> None:
    found = doctest.testmod(importlib.import_module(module), extraglobs=names)
    assert found.attempted > 0
    assert found.failed == 0


def test_what_helps_most_has_an_example() -> None:
    assert {"feedrank.features.spec", "feedrank.ranking.recommender"} <= set(MODULES)
