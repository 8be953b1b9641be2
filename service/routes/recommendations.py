"""Recommendations: plain, with the arm of the A/B test, explained, and of many users at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse

from feedrank.log.exposures import Arm
from feedrank.state.catalogue import NOBODY, Id
from service.routes.replies import (
    PROBLEMS,
    RequestParams,
    Running,
    explanation,
    id_among,
    list_route,
    reply,
)
from service.routes.schemas import (
    MOST_IDS,
    MOST_POSTS,
    AssignedList,
    Explanation,
    GivenId,
    Post,
    Text,
    moment,
)
from service.server.json_body import JsonRoute
from service.serving.feed_request import FeedRequest, Restriction
from service.serving.inference import Inference

router = APIRouter(tags=["recommendations"], route_class=JsonRoute)


class Users(BaseModel):
    """A request of many users at one moment; posts are restricted for all of them alike."""

    model_config = ConfigDict(extra="forbid")

    ids: list[GivenId] = Field(max_length=MOST_IDS, fail_fast=True, examples=[[200, 201]])
    time: Annotated[datetime, BeforeValidator(moment)] = Field(examples=["2021-12-15T18:00:00"])
    limit: int = Field(5, ge=1, le=MOST_POSTS)
    exclude: list[GivenId] = Field(default_factory=list, max_length=MOST_IDS, fail_fast=True)
    topics: list[Text] = Field(default_factory=list, max_length=MOST_IDS, fail_fast=True)
    candidates: list[GivenId] | None = Field(None, max_length=MOST_IDS, fail_fast=True)


class UserList(BaseModel):
    """The list of one of many users, with what `GET` tells in headers."""

    id: Id
    exp_group: Arm
    artifact: str
    known_until: str
    recommendations: list[Post]


class Lists(BaseModel):
    """Lists of many users, and the ids that are nobody's."""

    lists: list[UserList]
    unknown: list[Id]


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
    requests = _requests_of(inference, users)
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


def _requests_of(inference: Inference, users: Users) -> list[FeedRequest]:
    """A request for each user of a body, each once."""
    catalogue = inference.catalogue

    def ids(among: np.ndarray, name: str, given: Sequence[Id]) -> tuple[Id, ...]:
        return tuple(id_among(among, name, str(one)) for one in given)

    restriction = Restriction(
        ids(catalogue.post_ids, "exclude", users.exclude),
        tuple(users.topics),
        None
        if users.candidates is None
        else ids(catalogue.post_ids, "candidates", users.candidates),
    )
    named = dict.fromkeys(ids(catalogue.user_ids, "ids", users.ids))
    return [FeedRequest(user_id, users.time, users.limit, restriction) for user_id in named]
