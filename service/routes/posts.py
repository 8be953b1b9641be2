"""Posts: those that are similar to one."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.responses import JSONResponse

from feedrank.ranking.similarity import similar_posts
from service.routes.errors import LONGEST_ECHO
from service.routes.replies import PROBLEMS, Restricted, Running, id_among
from service.routes.schemas import Limit, PostId, Problem, SimilarPost
from service.serving.inference import post_content

router = APIRouter(tags=["posts"])


@router.get(
    "/post/{id}/similar",
    response_model=list[SimilarPost],
    responses={**PROBLEMS, 404: {"model": Problem, "description": "No open post has this id."}},
    response_description="The posts, most similar first.",
)
async def similar(
    inference: Running, named: PostId, restriction: Restricted, limit: Limit = 5
) -> JSONResponse:
    """Posts that the same users like, by clusters, topic and latent factors; no exposure."""
    loaded = inference.slots["control"].current
    store = loaded.artifact.store
    at = store.meta.last_at
    post_id = id_among(store.catalogue.post_ids, "id", named)
    post, every = store.catalogue.post(post_id), store.catalogue.open_posts(at)
    if post not in every:
        raise HTTPException(
            404,
            f"post {str(post_id)[:LONGEST_ECHO]} is not among the {len(every):,} open posts of "
            "this artifact. Ask for one of them; a new post is included in the next export.",
        )
    among = restriction.posts(store, at)
    rows, similarity = similar_posts(store, post, limit, every if among is None else among)
    content = [
        {**post_content(store, row), "similarity": alike}
        for row, alike in zip(rows.tolist(), similarity.tolist(), strict=True)
    ]
    return JSONResponse(content, headers={"X-Artifact": loaded.version})
