"""Posts: those that are similar to one, and which are hidden."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from feedrank.live.events import Happened
from feedrank.ranking.similarity import similar_posts
from feedrank.state.catalogue import Id
from service.routes.errors import LONGEST_ECHO
from service.routes.replies import PROBLEMS, UNWRITTEN, Restricted, Running, append, id_among
from service.routes.schemas import Limit, Post, PostId, Problem, given_id
from service.serving.feed_request import post_content
from service.serving.inference import Inference

router = APIRouter(tags=["posts"])


class SimilarPost(Post):
    """A post, and the correlation of users' tastes for it and for the post asked about."""

    similarity: float = Field(ge=-1, le=1)


class Hidden(BaseModel):
    """Whether callers hide a post."""

    id: Id
    hidden: bool


@router.get(
    "/post/{id}/similar",
    response_model=list[SimilarPost],
    responses={**PROBLEMS, 404: {"model": Problem, "description": "No open post has this id."}},
    response_description="The posts, most similar first.",
)
async def similar(
    inference: Running, named: PostId, restriction: Restricted, limit: Limit = 5
) -> JSONResponse:
    """Posts that the same users like, by clusters, topic, words and factors; no exposure."""
    loaded = inference.slots["control"].current
    store = loaded.artifact.store
    at = store.meta.last_at
    post_id = id_among(store.catalogue.post_ids, "id", named)
    post, every = store.catalogue.post(post_id), store.catalogue.open_posts(at)
    if post not in every:
        raise HTTPException(
            404,
            f"post {str(post_id)[:LONGEST_ECHO]} is not among the {len(every):,} open posts. Ask "
            "for one of them; a new one is known once its row has come, as by `POST /feed`.",
        )
    among = restriction.posts(store, at)
    rows, similarity = similar_posts(store, post, limit, every if among is None else among)
    content = [
        {**post_content(store, row), "similarity": alike}
        for row, alike in zip(rows.tolist(), similarity.tolist(), strict=True)
    ]
    return JSONResponse(content, headers={"X-Artifact": loaded.version})


HIDING: dict[int | str, dict[str, Any]] = {
    401: PROBLEMS[401],
    403: {"model": Problem, "description": "The service has no API key, so nobody may hide."},
    422: {"model": Problem, "description": "The id is malformed."},
    507: UNWRITTEN,
}
HIDDEN = "It is on the disk; all workers follow within a second."


@router.put(
    "/posts/{id}/hidden", response_model=Hidden, responses=HIDING, response_description=HIDDEN
)
async def hide(inference: Running, named: PostId) -> JSONResponse:
    """Hide a post from every answer, at every moment; a post that is not known yet, once it is."""
    return await _set_hidden(inference, named, is_hidden=True)


@router.delete(
    "/posts/{id}/hidden", response_model=Hidden, responses=HIDING, response_description=HIDDEN
)
async def unhide(inference: Running, named: PostId) -> JSONResponse:
    """Take back a `PUT`; a post that the source hides stays hidden."""
    return await _set_hidden(inference, named, is_hidden=False)


async def _set_hidden(inference: Inference, named: str, is_hidden: bool) -> JSONResponse:
    if inference.settings.api_key is None:
        raise HTTPException(
            403, "hiding a post needs an API key: set FEEDRANK_API_KEY and start the service again."
        )
    post_id = id_among(inference.catalogue.post_ids, "id", named)
    try:
        given_id(post_id)  # a post that is not known yet
    except ValueError as error:
        raise HTTPException(422, f"{str(post_id)[:LONGEST_ECHO]}: {error}.") from error
    await append(inference, Happened(hidden=[(post_id, is_hidden)]))
    return JSONResponse({"id": post_id, "hidden": is_hidden})
