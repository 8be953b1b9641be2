"""A company's database, by the recipe and two commands: a served list, and nobody's name in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.conftest import ROOT, TestDatabase
from tests.extraction.check.company import company
from tests.extraction.check.test_your_data import BLOCKS, COMMON, NAMES
from tests.support.checkout import copy_tracked

RECIPE = "Impressions and clicks"
# A view that lists more than the page says to.
COLUMNS = "email, phone, full_name, plan, score, interests, registered_at, last_login"
PERSONAL = ("@example.org", "Person ", "+49 ")


def _run(folder: Path, dsn: str, *words: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("FEED", "PYTEST"))}
    environ |= {
        "FEED_DSN": dsn,
        "FEEDRANK_WORKERS": "1",
        "FEEDRANK_STATE": str(folder / "state"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
    }
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(database: TestDatabase, tmp_path: Path) -> tuple[Path, str]:
    """A checkout with the recipe's parameters, built and deployed; what the commands said."""
    careless = COMMON.replace("country, birth_year", f"country, birth_year, {COLUMNS}")
    assert careless != COMMON
    database.execute(company(users=400, posts=150, impressions=30_000), careless, BLOCKS[RECIPE])
    folder = tmp_path / "project"
    folder.mkdir()
    copy_tracked(ROOT, folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["source"] |= NAMES[RECIPE]
    params["validate"] |= {"requests": 200, "bootstrap": 200, "folds": 1}
    params["train"]["trees"] = 10
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    _run(folder, database.url, "dvc", "init", "--no-scm", "-q")
    said = _run(folder, database.url, "dvc", "repro")
    said += _run(folder, database.url, "service.deploy", "models/artifact", "--force", "a test")
    return folder, said


def test_the_recipe_and_two_commands_lead_to_a_served_list(
    project: tuple[Path, str], database: TestDatabase
) -> None:
    folder, said = project
    assert "impossible" in said
    assert "repeated rows counted once" in said
    (user,) = database.execute("SELECT id::text FROM users WHERE deleted_at IS NULL LIMIT 1")[0]
    deleted = {
        i for (i,) in database.execute("SELECT id::text FROM posts WHERE deleted_at < now()")
    }
    settings = Settings(artifact=folder / "models" / "live", state=folder / "state")
    with TestClient(create_app(settings)) as client:
        query = {"id": user, "time": "2025-02-08T12:00:00+01:00", "limit": 50}
        listed = [post["id"] for post in client.get("/post/recommendations/", params=query).json()]
    assert len(listed) == 50
    assert deleted
    assert not deleted & set(listed)
    report = json.loads((folder / "reports" / "data.json").read_text())
    n_distinct = "SELECT count(*) FROM (SELECT DISTINCT user_id, post_id, date_trunc('second', "
    n_distinct += "timestamp) FROM feedrank.feed_data WHERE timestamp BETWEEN '2024-12-01' AND "
    n_distinct += "'2026-01-01') AS rows"
    assert report["impressions"] == database.execute(n_distinct)[0][0]
    assert {"email", "phone", "full_name", "last_login"} <= report["left_out_columns"].keys()
    manifest = json.loads((folder / "models" / "artifact" / "manifest.json").read_text())
    assert "registered_at_log_age" in manifest["features"]
    for path in (p for name in ("data", "models", "reports") for p in (folder / name).rglob("*")):
        assert not any(word in _content(path) for word in PERSONAL), path


def _content(path: Path) -> str:
    """All that a file holds as text, unpacked."""
    if not path.is_file():
        return ""
    if path.suffix == ".parquet":
        table = pq.read_table(path).to_pandas()
        return table.select_dtypes(["object", "string"]).to_csv()
    if path.suffix == ".npy":
        return np.load(path).tobytes().decode(errors="replace")
    return path.read_bytes().decode(errors="replace")
