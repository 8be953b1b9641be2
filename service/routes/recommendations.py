"""Recommendations: plain, with the arm of the A/B test, and explained."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from feedrank.state.catalogue import NOBODY
from service.routes.replies import (
    PROBLEMS,
    RequestParams,
    Running,
    explanation,
    list_route,
    reply,
    requests_of,
)
from service.routes.schemas import AssignedList, Explanation, Lists, Post, Users

router = APIRouter(tags=["recommendations"])


@list_route(router, "/post/recommendations/", list[Post])
async def recommendations(inference: Running, request: RequestParams) -> JSONResponse:
    """The posts that this user is most likely to like at this moment, best first."""
    answer = await inference.serve(request)
    return reply(answer, answer.posts())


@list_route(router, "/post/recommendations/variant", AssignedList)
async def variant(inference: Running, request: RequestParams) -> JSONResponse:
    """The same list, and the arm of the A/B test that its user is in: control or test."""
    answer = await inference.serve(request)
    content = {"exp_group": answer.loaded.arm, "recommendations": answer.posts()}
    return reply(answer, content)


@router.post(
    "/post/recommendations/",
    response_model=Lists,
    responses={code: PROBLEMS[code] for code in (401, 422, 503)},
    response_description="A list for each known user, in the order of `ids`.",
)
async def of_many(inference: Running, users: Users) -> JSONResponse:
    """The lists of many users at one moment, each as `GET` gives it, and logged as exposures."""
    requests = requests_of(inference, users)
    answers = {answer.request.user_id: answer for answer in await inference.serve_many(requests)}
    named = [request.user_id for request in requests]
    content = {
        "lists": [
            {
                "id": user_id,
                "exp_group": answers[user_id].loaded.arm,
                "artifact": answers[user_id].loaded.version,
                "known_until": answers[user_id].known_until.isoformat(),
                "recommendations": answers[user_id].posts(),
            }
            for user_id in named
            if user_id in answers
        ],
        "unknown": [
            user_id
            for user_id in named
            if user_id not in answers or answers[user_id].user == NOBODY
        ],
    }
    return JSONResponse(content)


@list_route(router, "/post/recommendations/explain", Explanation)
async def explained(inference: Running, request: RequestParams) -> JSONResponse:
    """The same list with the probability of each post and the features that moved it most.

    It is not logged as an exposure.
    """
    answer, reasons = await inference.explain(request)
    return reply(answer, explanation(answer, reasons))
