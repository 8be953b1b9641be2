"""Feed: what happened on the network, from callers who have no database to follow."""

from __future__ import annotations

from calendar import timegm
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse

from feedrank.live.events import IMPRESSION, LIKE, LIKED, Happened
from feedrank.log.metadata import LogMeta
from feedrank.schema import UNKNOWN_TOPIC
from feedrank.state.catalogue import Id
from service.routes.replies import PROBLEMS, UNWRITTEN, Running, append, id_among
from service.routes.schemas import GivenId, Problem, Text, moment
from service.server.json_body import JsonRoute
from service.serving.inference import Inference

router = APIRouter(tags=["feed"], route_class=JsonRoute)

MOST_EVENTS = 10_000  # of one request: written in a tenth of a second
LONGEST_TEXT = 100_000  # characters of a post
WIDEST_EMBEDDING = 8192  # numbers: twice those of the widest models
EARLY = timedelta(hours=1)  # by which a caller's clock may be ahead of the service's

Finite = Annotated[float, Field(ge=-3e38, le=3e38)]  # which float32 holds
Moment = Annotated[datetime, BeforeValidator(moment)]


class Given(BaseModel):
    """Part of a body; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Event(Given):
    """A post was shown to a user, or liked."""

    user_id: GivenId
    post_id: GivenId
    time: Moment = Field(examples=["2021-12-30T18:00:00"])
    kind: Literal["impression", "like"] = "impression"
    liked: bool = Field(False, description="Whether an impression was liked, if that is known.")
    event_id: Text | None = Field(
        None, max_length=200, description="The same id again adds nothing, whatever comes with it."
    )


class GivenPost(Given):
    """A post that the artifact may lack."""

    id: GivenId
    text: Text = Field("", max_length=LONGEST_TEXT)
    topic: Text = Field(UNKNOWN_TOPIC, max_length=200)
    embedding: list[Finite] | None = Field(
        None,
        min_length=1,
        max_length=WIDEST_EMBEDDING,
        fail_fast=True,
        description="Of the model that gave those of the artifact; read if it has any.",
    )


class GivenUser(Given):
    """A user whom the artifact may lack, with the columns of the profile."""

    id: GivenId
    profile: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class Batch(Given):
    """What happened; of each list the first wrong part is told, and those after it not read."""

    events: list[Event] = Field(default_factory=list, max_length=MOST_EVENTS, fail_fast=True)
    posts: list[GivenPost] = Field(default_factory=list, max_length=MOST_EVENTS, fail_fast=True)
    users: list[GivenUser] = Field(default_factory=list, max_length=MOST_EVENTS, fail_fast=True)


class Taken(BaseModel):
    """All of the batch is on the disk."""

    new: int = Field(description="Events that were not there already.")


ANSWERS: dict[int | str, dict[str, Any]] = {
    401: PROBLEMS[401],
    411: {"model": Problem, "description": "The length of the body is not given."},
    413: {"model": Problem, "description": "The body is too long."},
    422: {"model": Problem, "description": "A part of the body is malformed or out of range."},
    507: UNWRITTEN,
}


@router.post(
    "/feed", response_model=Taken, responses=ANSWERS, response_description="All is on the disk."
)
async def feed(batch: Batch, inference: Running) -> JSONResponse:
    """Take events, posts and users; they are on the disk when this answers.

    Sent again, they add nothing, so a caller who got no answer sends the same once more.
    """
    return JSONResponse({"new": await append(inference, _happened(batch, inference))})


def _happened(batch: Batch, inference: Inference) -> Happened:
    catalogue, meta = inference.catalogue, inference.meta
    latest = _second(inference.clock() + EARLY, meta)

    def user(value: Id, place: str) -> Id:
        return id_among(catalogue.user_ids, place, str(value))

    def post(value: Id, place: str) -> Id:
        return id_among(catalogue.post_ids, place, str(value))

    def row(number: int, event: Event) -> tuple[Id, Id, int, int, str | None]:
        place, at = f"events[{number}]", _second(event.time, meta)
        if at > latest:
            raise _problem(f"{place}.time", event.time, "it is later than now")
        if event.kind == "like" and event.liked:
            raise _problem(f"{place}.liked", True, "a like is no impression")
        kind = LIKE if event.kind == "like" else LIKED if event.liked else IMPRESSION
        of = user(event.user_id, f"{place}.user_id"), post(event.post_id, f"{place}.post_id")
        return *of, at, kind, event.event_id

    def vector(place: str, numbers: list[float] | None) -> np.ndarray | None:
        width = inference.embedding_width
        if numbers is not None and width and len(numbers) != width:
            raise _problem(place, len(numbers), f"the artifact's embeddings have {width} numbers")
        return None if numbers is None else np.array(numbers, np.float32)

    posts = [
        (
            post(p.id, f"posts[{n}].id"),
            p.text,
            p.topic,
            vector(f"posts[{n}].embedding", p.embedding),
        )
        for n, p in enumerate(batch.posts)
    ]
    users = [(user(u.id, f"users[{n}].id"), u.profile) for n, u in enumerate(batch.users)]
    return Happened([row(*numbered) for numbered in enumerate(batch.events)], posts, users)


def _second(at: datetime, meta: LogMeta) -> int:
    """Seconds since 1970 on the log's clock."""
    return timegm(meta.local(at).timetuple())


def _problem(place: str, found: object, message: str) -> RequestValidationError:
    problem = {"loc": ("body", place), "msg": message, "input": found, "type": "value_error"}
    return RequestValidationError([problem])
