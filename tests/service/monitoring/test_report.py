"""The report of validation, shown by the service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

pytest_plugins = ("tests.support.service_fixtures",)


@pytest.fixture
def shown(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"report": tmp_path / "report.html"})


def test_the_report_is_shown_with_its_styles_and_without_scripts(shown: Settings) -> None:
    shown.report.write_text("<style>p { color: red }</style><p>hits</p>", encoding="utf-8")
    with TestClient(create_app(shown)) as client:
        answer = client.get("/report")
        assert client.get("/feed/suggestions").json()["has_report"]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == shown.report.read_text(encoding="utf-8")
    policy = answer.headers["content-security-policy"]
    assert "style-src 'unsafe-inline'" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy


def test_a_report_that_is_not_there_is_told(shown: Settings) -> None:
    with TestClient(create_app(shown)) as client:
        answer = client.get("/report")
        assert not client.get("/feed/suggestions").json()["has_report"]
    assert answer.status_code == 404
    assert "dvc repro" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["folder", "a" * 300])
def test_what_is_no_file_is_no_report_and_the_page_has_its_users(
    shown: Settings, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    named = shown.model_copy(update={"report": tmp_path / name})
    with TestClient(create_app(named)) as client:
        assert client.get("/report").status_code == 404
        assert not client.get("/feed/suggestions").json()["has_report"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every file")
def test_a_report_that_may_not_be_read_is_no_report(shown: Settings) -> None:
    shown.report.touch(0o000)
    with TestClient(create_app(shown)) as client:
        assert client.get("/report").status_code == 404
        assert not client.get("/feed/suggestions").json()["has_report"]


def test_who_lacks_the_key_sees_no_report(shown: Settings) -> None:
    shown.report.write_text("hits", encoding="utf-8")
    with TestClient(create_app(shown.model_copy(update={"api_key": "k"}))) as client:
        assert client.get("/report").status_code == 401
