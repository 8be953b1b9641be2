"""In-process client: what the service answers, without a socket."""

from __future__ import annotations

import tempfile
from pathlib import Path

from starlette.testclient import TestClient

from feedrank.course.requests import K, Request
from service.app import create_app
from service.settings import Settings


def lists_of_the_service(artifact: Path, requests: list[Request]) -> list[list[int]]:
    """What the service answers."""
    with (
        tempfile.TemporaryDirectory() as state,
        TestClient(create_app(Settings(artifact=artifact, state=Path(state)))) as client,
    ):
        answers = [
            client.get("/post/recommendations/", params={"id": i, "time": at, "limit": K})
            for i, at in requests
        ]
    return [[post["id"] for post in answer.json()] for answer in answers]
