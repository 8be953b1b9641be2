"""JSON body: read within bounds, so that no body holds up other requests while it is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

MOST_FIELDS = 1_000  # of one object, each of which may be wrong; profiles have dozens


class JsonRoute(APIRoute):
    """A route whose body `parsed` reads."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request."""
        usual = super().get_route_handler()

        async def handle(http: Request) -> Response:
            return await usual(_JsonRequest(http.scope, http.receive))

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        return parsed(await self.body())


def parsed(body: bytes) -> Any:
    """The content of a body.

    Raises:
        JSONDecodeError: it is no JSON.
        HTTPException: a 422 for what JSON allows and no body of the service needs.
    """
    try:
        return json.loads(body, object_pairs_hook=_object)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8, at byte {error.start}; write it in UTF-8."
    except RecursionError:
        detail = "the body nests lists or objects too deep; send it as /docs shows."
    except ValueError:  # of a whole number that is longer than Python reads
        detail = "the body holds a number of thousands of digits; send it as /docs shows."
    raise HTTPException(422, detail)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_FIELDS:
        detail = f"the body holds an object of {len(pairs):,} fields; give {MOST_FIELDS:,} at most."
        raise HTTPException(422, detail)
    return dict(pairs)
