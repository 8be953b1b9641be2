"""Error answers: one sentence each, never a trace of the code."""

from __future__ import annotations

import reprlib
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from feedrank.ranking.recommender import UnknownUserError
from service.routes.replies import inference_of
from service.serving.limiter import BusyError

LONGEST_ECHO = 60  # characters of a wrong parameter in its message; a moment has at most 35
MOST_TOLD = 5  # problems of one request: a caller mends these first, and asks again


def add_error_answers(app: FastAPI) -> None:
    """Give every kind of error its answer."""
    app.add_exception_handler(UnknownUserError, _unknown_user)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(HTTPException, _other)
    app.add_exception_handler(Exception, _internal_error)


async def _unknown_user(request: Request, error: Exception) -> JSONResponse:
    user_id = error.args[0]
    catalogue = inference_of(request).artifact_for(user_id).artifact.store.catalogue
    shown = str(user_id)[:LONGEST_ECHO]
    detail = (
        f"user {shown} is not among the {len(catalogue.user_ids):,} users. Ask for one of "
        "them; a new user is known once the row has come, by following or `POST /feed`."
    )
    return JSONResponse({"detail": detail}, 404)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    told = [_sentence(problem) for problem in problems[:MOST_TOLD]]
    more = [f"And {len(problems) - MOST_TOLD:,} more."] if problems[MOST_TOLD:] else []
    detail = " ".join([*told, *more])
    # A body may hold halves of characters, which an answer cannot.
    return JSONResponse({"detail": detail.encode(errors="replace").decode()}, 422)


def _sentence(problem: dict[str, Any]) -> str:
    name = _place(problem["loc"][1:])
    if problem["type"] == "missing":
        if problem["loc"][0] == "body":
            return f"'{name}' is missing; send it as JSON, as /docs shows."
        example = {"id": "id=200", "time": "time=2021-12-15T18:00:00"}.get(name, f"{name}=...")
        return f"'{name}' is missing; add {example} to the address."
    if problem["type"] == "json_invalid":
        return f"the body is no JSON: {problem['ctx']['error']}, at character {problem['loc'][1]}."
    message = _message(problem)
    if problem["type"] == "misplaced":
        return f"'{name}' is {message}."
    found = problem["input"]
    # Of megabytes of lists and objects no more is written than is shown.
    found = reprlib.repr(found) if isinstance(found, list | dict) else str(found)
    shown = found if len(found) <= LONGEST_ECHO else f"{found[:LONGEST_ECHO]}..."
    return f"'{name}' is '{shown}': {message[:1].lower()}{message[1:]}."


def _place(parts: tuple[int | str, ...]) -> str:
    """A parameter, or a part of the body, as in `events[3].time`."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "".join(steps).removeprefix(".") or "body"


def _message(problem: dict[str, Any]) -> str:
    bounds = {
        "greater_than_equal": "it must be at least {ge}",
        "less_than_equal": "it must be at most {le}",
    }
    if problem["type"] in bounds:
        return bounds[problem["type"]].format(**problem["ctx"])
    return str(problem["msg"]).removeprefix("Value error, ")


async def _busy(_: Request, error: Exception) -> JSONResponse:
    detail = "too many open requests; retry in a second."
    return JSONResponse({"detail": detail}, 503, {"Retry-After": "1"})


async def _other(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    details = {
        404: "there is nothing at this address; see /docs.",
        405: f"this address answers {(error.headers or {}).get('Allow', 'GET')} only.",
    }
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:  # the framework's own words
        detail = details.get(error.status_code, detail)
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _internal_error(_: Request, error: Exception) -> JSONResponse:
    # The server logs the error itself, with its traceback, beside the request's id.
    detail = "internal error; search the service log for this answer's X-Request-ID."
    return JSONResponse({"detail": detail}, 500)
