"""Replies: parameters of a request for a list, and the JSON of its answer."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from feedrank.errors import FeedrankError
from feedrank.live.events import Happened
from feedrank.ranking.explanations import Reasons, sentence
from feedrank.state.catalogue import NOBODY, Id, are_text
from service.routes.schemas import (
    MOST_IDS,
    Candidates,
    Exclude,
    Limit,
    Problem,
    Time,
    Topics,
    UserId,
    WholeId,
)
from service.serving.feed_request import Answer, FeedRequest, Restriction
from service.serving.inference import Inference

WHOLE_ID: TypeAdapter[int] = TypeAdapter(WholeId)
TIME: TypeAdapter[datetime] = TypeAdapter(Time)
LIMIT: TypeAdapter[int] = TypeAdapter(Limit)
USUAL_LIMIT, PLAIN = 5, {"id", "time"}
Handler = Callable[..., Awaitable[JSONResponse]]
LISTED = "The posts, best first; X-Known-Until is the moment before which the log was used."
ONCE, REPEATED = ("id", "time", "limit"), ("exclude", "topic", "candidates")
N_REASONS = 4  # lines under a post on the page; `others` holds the rest of the sum
PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The API key is missing or wrong."},
    404: {"model": Problem, "description": "No user of the artifact has this id."},
    414: {"model": Problem, "description": "The query is too long."},
    422: {"model": Problem, "description": "A parameter is missing, malformed or out of range."},
    503: {"model": Problem, "description": "Too many open requests; see Retry-After."},
}
UNWRITTEN = {"model": Problem, "description": "The delta log cannot be written."}  # a 507


async def _restriction(
    http: Request, exclude: Exclude = None, topic: Topics = None, candidates: Candidates = None
) -> Restriction:
    """The posts that the query's parameters leave; a parameter that no route has is refused."""
    once: tuple[str, ...] = ("limit",) if "id" in http.path_params else ONCE
    is_page = http.scope["route"].path.rstrip("/") == "/feed"
    once += ("arm", "history") if is_page else ()
    given = Counter(name for name, _ in http.query_params.multi_items())
    known = f"not a parameter of this route; there are {', '.join((*once, *REPEATED))}"
    wrong = {name: known for name in given if name not in (*once, *REPEATED)}
    repeated = (name for name in once if given[name] > 1)
    wrong |= {name: f"given {given[name]} times; give it once" for name in repeated}
    if wrong:
        raise RequestValidationError([misplaced(*problem) for problem in wrong.items()])
    among = inference_of(http).catalogue.post_ids
    return Restriction(
        _ids_of(among, "exclude", exclude or []),
        tuple(topic or ()),
        None if candidates is None else _ids_of(among, "candidates", candidates),
    )


Restricted = Annotated[Restriction, Depends(_restriction)]


async def _feed_request(
    http: Request, named: UserId, at: Time, restriction: Restricted, limit: Limit = USUAL_LIMIT
) -> FeedRequest:
    """The request of the query's parameters."""
    user_id = id_among(inference_of(http).catalogue.user_ids, "id", named)
    http.scope["user_id"] = user_id
    return FeedRequest(user_id, at, limit, restriction, http.method != "HEAD")


def misplaced(name: str, message: str) -> dict[str, Any]:
    """The problem of a parameter that may not stand there, for `RequestValidationError`."""
    return {"loc": ("query", name), "msg": message, "input": None, "type": "misplaced"}


def _ids_of(among: np.ndarray, name: str, parts: list[str]) -> tuple[Id, ...]:
    """Ids of a parameter, separated by commas or given again and again."""
    named = [one for part in parts for one in part.split(",") if one]
    if len(named) > MOST_IDS:
        message = f"a list of {len(named):,} ids; give {MOST_IDS:,} at most"
        raise RequestValidationError([misplaced(name, message)])
    return tuple(id_among(among, name, one) for one in named)


def id_among(ids: np.ndarray, name: str, named: str) -> Id:
    """An id of the kind of these, from a parameter's text; a 422 if a whole number is wanted."""
    if are_text(ids):
        return named
    try:
        return WHOLE_ID.validate_python(named)
    except ValidationError as error:
        problems = [{**problem, "loc": ("query", name)} for problem in error.errors()]
        raise RequestValidationError(problems) from None


async def append(inference: Inference, happened: Happened) -> int:
    """Append to the delta log, in a thread: events that are new; a 507 if it cannot be written."""
    try:
        return await asyncio.to_thread(inference.append, happened)
    except FeedrankError as error:
        raise HTTPException(507, str(error)) from error


def inference_of(http: Request) -> Inference:
    """Inference of the running service."""
    inference: Inference = http.app.state.inference
    return inference


class ListRoute(APIRoute):
    """A route of lists: a query of nothing but user, moment and length is read at once.

    Dependencies take 0.15 ms to read it, a fourth of all that is not ranking. They read any other
    query, and say what is wrong in one.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request."""
        usual = super().get_route_handler()

        async def handle(http: Request) -> Response:
            request = _plain_request(http)
            if request is None:
                return await usual(http)
            answer: Response = await self.endpoint(inference_of(http), request)
            return answer

        return handle


def _plain_request(http: Request) -> FeedRequest | None:
    """The request of a right query that restricts nothing; None for any other."""
    pairs = http.query_params.multi_items()
    given = dict(pairs)
    if len(given) < len(pairs) or given.keys() - {"limit"} != PLAIN:
        return None
    try:
        user_id = id_among(inference_of(http).catalogue.user_ids, "id", given["id"])
        at = TIME.validate_python(given["time"])
        limit = LIMIT.validate_python(given.get("limit", USUAL_LIMIT))
    except (RequestValidationError, ValidationError):
        return None
    http.scope["user_id"] = user_id
    return FeedRequest(user_id, at, limit, is_seen=http.method != "HEAD")


def list_route(router: APIRouter, path: str, model: Any) -> Callable[[Handler], Handler]:
    """Register a route of lists."""

    def register(handler: Handler) -> Handler:
        router.add_api_route(
            path,
            handler,
            methods=["GET"],
            response_model=model,
            responses=PROBLEMS,
            response_description=LISTED,
            route_class_override=ListRoute,
        )
        return handler

    return register


async def _running(http: Request) -> Inference:
    """As `inference_of`; a dependency that does not wait would be sent to a thread."""
    return inference_of(http)


RequestParams = Annotated[FeedRequest, Depends(_feed_request)]
Running = Annotated[Inference, Depends(_running)]


def reply(answer: Answer, content: Any) -> JSONResponse:
    """JSON with the arm, the artifact and the end of the used log in headers."""
    headers = {
        "X-Exp-Group": answer.loaded.arm,
        "X-Artifact": answer.loaded.version,
        "X-Known-Until": answer.known_until.isoformat(),
    }
    if answer.user == NOBODY:
        headers["X-Unknown-User"] = "popular"
    return JSONResponse(content, headers=headers)


def explanation(answer: Answer, reasons: Reasons) -> dict[str, Any]:
    """A list and its reasons as `Explanation`."""
    probability = answer.ranked.probability.tolist()
    n_best = len(probability) - answer.ranked.n_explored
    return {
        "exp_group": answer.loaded.arm,
        "artifact": answer.loaded.version,
        "base": reasons.base,
        "base_probability": reasons.base_probability,
        "recommendations": [
            {
                **post,
                "probability": probability[row],
                "explores": row >= n_best,
                **_reasons_of(reasons, row),
            }
            for row, post in enumerate(answer.posts())
        ],
    }


def _reasons_of(reasons: Reasons, row: int) -> dict[str, Any]:
    named = reasons.strongest(row, N_REASONS)
    content = [
        {
            "feature": reasons.names[i],
            "value": _finite(float(reasons.values[row, i])),
            "effect": effect,
            "times": math.exp(effect),
            "words": reasons.words[i],
            "sentence": sentence(reasons.words[i], effect),
        }
        for i, effect in named
    ]
    others = reasons.effects[row].sum() - sum(effect for _, effect in named)
    return {"reasons": content, "others": float(others)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
