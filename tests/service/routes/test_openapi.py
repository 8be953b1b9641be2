"""The service does what its OpenAPI document says, for requests nobody would think of."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis.generation import GenerationMode

from tests.support.service_process import serving

pytest_plugins = ("tests.support.service_fixtures",)
PATHS = [
    "/post/recommendations/", "/post/recommendations/variant", "/post/recommendations/explain",
    "/feed", "/feed/suggestions", "/feed/search", "/post/{id}/similar",
    "/health", "/ready", "/version", "/metrics", "/report",
]  # fmt: skip
OPERATIONS = [
    *(("GET", path) for path in PATHS),
    *((method, "/posts/{id}/hidden") for method in ("PUT", "DELETE")),
]
# Ids within a body are numbers or text, as the artifact's: the document tells no more.
WITH_BODY = [("POST", "/feed"), ("POST", "/post/recommendations/")]


@pytest.fixture(scope="module")
def api(artifact_path, tmp_path_factory):
    """The document of a running service."""
    with serving(artifact_path, tmp_path_factory.mktemp("state")) as server:
        yield schemathesis.openapi.from_url(f"{server.address}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_fits_the_document(api, method, path, mode):
    operation = api[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def answer(case):
        assume(_is_told_by_the_document(case.query or {}, mode))
        case.call_and_validate()

    if operation.query or operation.path_parameters or mode is GenerationMode.POSITIVE:
        answer()


def _is_told_by_the_document(query, mode):
    """Whether a schema can say what becomes of a query.

    Any text is a topic, and in an address all is text, so that no value of it is a wrong one. Days
    at the ends of the calendar are no moments on a clock that is ahead or behind.
    """
    is_topic = mode is GenerationMode.NEGATIVE and "topic" in query
    return not is_topic and not str(query.get("time")).startswith(("0001-01-01", "9999-12-31"))


def test_every_route_of_the_document_is_tried(api):
    paths = api.raw_schema["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert sorted(found) == sorted([*OPERATIONS, *WITH_BODY])
