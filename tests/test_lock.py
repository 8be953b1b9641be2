"""`dvc.lock` belongs to the code beside it: `dvc repro` of a fresh clone has nothing to do anew."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]


def _hash(path: Path) -> str:
    """As DVC has it: of a file's bytes, or of the list of a directory's files."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
    listed = [{"md5": _hash(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    listed.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_was_run_with_this_code(stage: str) -> None:
    code = [d for d in STAGES[stage]["deps"] if d["path"].startswith(("feedrank/", "stages/"))]
    assert code
    changed = [d["path"] for d in code if _hash(ROOT / d["path"]) != d["md5"]]
    assert changed == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_was_run_with_these_parameters(stage: str) -> None:
    given = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in STAGES[stage].get("params", {}).get("params.yaml", {}).items():
        found: Any = given
        for key in name.split("."):
            found = found[key]
        assert found == value, name
