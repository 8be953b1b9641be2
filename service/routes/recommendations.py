"""The recommendations: plain, with the group of the comparison, and explained."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from feedrank.ranking.explanations import explain
from service.routes.replies import LISTED, PROBLEMS, AskedParams, desk_of, explanation, reply
from service.routes.schemas import Explanation, Post, Variant

router = APIRouter(tags=["recommendations"])


@router.get("/post/recommendations", include_in_schema=False)
@router.get(
    "/post/recommendations/",
    response_model=list[Post],
    responses=PROBLEMS,
    response_description=LISTED,
)
async def recommendations(request: Request, asked: AskedParams) -> JSONResponse:
    """The posts that this user is most likely to like at this moment, best first."""
    desk = desk_of(request)
    async with desk.gate.turn():
        answer = desk.answer(asked)
        desk.note(asked, answer)
    return reply(answer, answer.posts())


@router.get("/post/recommendations/variant/", include_in_schema=False)
@router.get(
    "/post/recommendations/variant",
    response_model=Variant,
    responses=PROBLEMS,
    response_description=LISTED,
)
async def variant(request: Request, asked: AskedParams) -> JSONResponse:
    """The same list, and whether its user is in the control or the test group."""
    desk = desk_of(request)
    async with desk.gate.turn():
        answer = desk.answer(asked)
        desk.note(asked, answer)
    group = answer.model.group
    return reply(answer, {"exp_group": group, "recommendations": answer.posts()})


@router.get("/post/recommendations/explain/", include_in_schema=False)
@router.get(
    "/post/recommendations/explain",
    response_model=Explanation,
    responses=PROBLEMS,
    response_description=LISTED,
)
async def explained(request: Request, asked: AskedParams) -> JSONResponse:
    """The same list with the probability of each post and what moved it most.

    It is not noted as an exposure.
    """
    desk = desk_of(request)
    async with desk.gate.turn():
        answer = desk.answer(asked)
        reasons = explain(answer.model.artifact.recommender, answer.user, answer.at, answer.ranked)
    return reply(answer, explanation(answer, reasons))
