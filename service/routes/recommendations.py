"""Recommendations: plain, with the arm of the A/B test, and explained."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from service.routes.replies import RequestParams, Running, explanation, list_route, reply
from service.routes.schemas import AssignedList, Explanation, Post

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


@list_route(router, "/post/recommendations/explain", Explanation)
async def explained(inference: Running, request: RequestParams) -> JSONResponse:
    """The same list with the probability of each post and the features that moved it most.

    It is not logged as an exposure.
    """
    answer, reasons = await inference.explain(request)
    return reply(answer, explanation(answer, reasons))
