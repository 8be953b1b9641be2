"""The small artifact, made once a session, and clients of services that run on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from feedrank.artifact.artifact import Artifact
from service.app import create_app
from service.settings import Settings
from tests.support.small_artifact import small_artifact


@pytest.fixture(scope="session")
def small_artifact_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directory of a small artifact, and of what it was exported from; of one process alone."""
    directory = shutil.copytree(small_artifact(), tmp_path_factory.mktemp("small") / "made")
    return directory / "artifact", directory


@pytest.fixture(scope="session")
def artifact_path(small_artifact_files: tuple[Path, Path]) -> Path:
    """Directory of a small artifact; not to be written into."""
    return small_artifact_files[0]


@pytest.fixture(scope="session")
def artifact(artifact_path: Path) -> Artifact:
    """The same, loaded."""
    return Artifact.load(artifact_path)


@pytest.fixture(scope="session")
def user_id(artifact: Artifact) -> int:
    """Somebody with a history."""
    store = artifact.store
    n_shown = store.history.offsets[1:] - store.history.offsets[:-1]
    return int(store.catalogue.user_ids[int(n_shown.argmax())])


@pytest.fixture
def settings(artifact_path: Path, tmp_path: Path) -> Settings:
    """Of a service on the small artifact."""
    return Settings(artifact=artifact_path, state=tmp_path / "state")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A caller of a running service."""
    with TestClient(create_app(settings)) as running:
        yield running
