"""Content of the page at `/`: suggested users, and one user's past, list and reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel
from starlette.responses import JSONResponse

from feedrank.artifact.artifact import Artifact
from feedrank.log.exposures import Arm
from feedrank.state.catalogue import Id
from feedrank.state.feature_store import FeatureStore
from service.routes.finding import SuggestedUser, described, profile_of
from service.routes.replies import PROBLEMS, RequestParams, Running, explanation, reply
from service.routes.schemas import ExplainedPost, Explanation, Post
from service.serving.feed_request import post_content

N_SUGGESTED = 6  # chips in one line of the page
N_TOPICS = 12  # chips of the page, those of most posts
N_HISTORY = 40  # lines of the page's list at first; a button asks for all
NamedArm = Annotated[
    Arm | None, Query(description="In place of the user's own.", examples=["control"])
]
NHistory = Annotated[
    int,
    Query(
        alias="history",
        ge=0,
        description="Latest impressions that are told, at most.",
        examples=[N_HISTORY],
    ),
]
router = APIRouter(tags=["page"])


class Suggestions(BaseModel):
    """Suggested users, and the period of the log."""

    since: str
    until: str
    step_seconds: int
    n_users: int
    n_posts: int
    users: list[SuggestedUser]
    topics: list[str]
    arms: list[str]
    has_report: bool


class ShownPost(Post):
    """A post that was shown to the user before."""

    liked: bool
    day: str


class TopicCount(BaseModel):
    """How often a topic was shown and liked."""

    topic: str
    n_shown: int
    n_liked: int


class FeedPost(ExplainedPost):
    """A recommended post, and how often it was shown to and liked by its user before."""

    n_shown: int
    n_liked: int


class Feed(Explanation):
    """A user at a moment: profile, past, list and reasons."""

    id: Id
    profile: dict[str, str]
    known_until: str
    n_shown: int
    n_liked: int
    topics: list[TopicCount]
    history: list[ShownPost]
    recommendations: Sequence[FeedPost]


@router.get(
    "/feed/suggestions", response_model=Suggestions, response_description="Users and the period."
)
async def suggestions(inference: Running) -> JSONResponse:
    """Users from rarely to highly active, and the period of the log."""
    artifact = inference.slots["control"].current.artifact
    store, meta = artifact.store, artifact.store.meta
    content = {
        "since": meta.origin_at.isoformat(),
        "until": artifact.as_of.isoformat(),
        "step_seconds": store.fitted.step_seconds,
        "n_users": meta.n_users,
        "n_posts": meta.n_posts,
        "users": _suggested(artifact),
        "topics": _named_topics(store),
        "arms": list(inference.slots),
        "has_report": inference.settings.has_report,
    }
    return JSONResponse(content)


@router.get(
    "/feed",
    response_model=Feed,
    responses=PROBLEMS,
    response_description="The user, their past, the list and its reasons.",
)
async def feed(
    inference: Running,
    request: RequestParams,
    arm: NamedArm = None,
    n_history: NHistory = N_HISTORY,
) -> JSONResponse:
    """One user at one moment: profile, posts shown and liked before, the list and its reasons.

    A named arm answers in place of the user's own, to compare both.
    """
    if arm is not None and arm not in inference.slots:
        served = " and ".join(inference.slots)
        raise HTTPException(404, f"arm '{arm}' is not served, only {served}.")
    answer, reasons = await inference.explain(request, arm)
    artifact = answer.loaded.artifact
    step = artifact.recommender.step(answer.at)
    post, shown_step, liked = artifact.recommender.history_before(answer.user, step)
    content = explanation(answer, reasons)
    for row, shown in zip(answer.ranked.post.tolist(), content["recommendations"], strict=True):
        is_it = post == row
        shown |= {"n_shown": int(is_it.sum()), "n_liked": int(liked[is_it].sum())}
    content |= {
        "id": request.user_id,
        "profile": profile_of(artifact, answer.user),
        "known_until": answer.known_until.isoformat(),
        "n_shown": len(post),
        "n_liked": int(liked.sum()),
        "topics": _topics(artifact, post, liked),
        "history": _history(artifact, post, shown_step, liked, n_history),
    }
    return reply(answer, content)


def _suggested(artifact: Artifact) -> list[dict[str, Any]]:
    """Users at even places of the order by impressions, most active last."""
    n_shown = artifact.store.history.n_shown
    order = np.argsort(n_shown, kind="stable")
    places = np.linspace(0, len(order) - 1, N_SUGGESTED + 1)[1:].astype(int)
    return described(artifact, list(dict.fromkeys(order[places].tolist())))


def _topics(artifact: Artifact, post: np.ndarray, liked: np.ndarray) -> list[dict[str, Any]]:
    """Topics of shown posts, most shown first."""
    rows, of = np.unique(post, return_inverse=True)
    topics = [artifact.store.topic[row] for row in rows.tolist()]
    shown, likes = Counter[str](), Counter[str]()
    for row, n, n_liked in zip(topics, np.bincount(of), np.bincount(of, liked), strict=True):
        shown[row] += int(n)
        likes[row] += int(n_liked)
    return [
        {"topic": topic, "n_shown": n, "n_liked": likes[topic]}
        for topic, n in sorted(shown.items(), key=lambda one: (-one[1], one[0]))
    ]


def _named_topics(store: FeatureStore) -> list[str]:
    """Topics of the most posts. Only codes below the last fitted one are of one topic each."""
    topic, n_own = store.fitted.topic, store.fitted.vocabulary.n_topics - 1
    _, first, size = np.unique(topic, return_index=True, return_counts=True)
    n_posts = Counter({store.topic[first[code]]: int(size[code]) for code in range(n_own)})
    n_posts.update(store.topic[row] for row in np.flatnonzero(topic >= n_own).tolist())
    return [name for name, _ in n_posts.most_common(N_TOPICS)]


def _history(
    artifact: Artifact, post: np.ndarray, step: np.ndarray, liked: np.ndarray, n: int
) -> list[dict[str, Any]]:
    """The last n impressions of posts that are not hidden, latest first."""
    store = artifact.store
    is_open = np.isin(post, store.catalogue.open_posts(store.meta.last_at))
    last = slice(None, -n - 1, -1)
    columns = (values[is_open][last].tolist() for values in (post, step, liked))
    return [
        {
            **post_content(store, row),
            "liked": bool(is_liked),
            "day": store.meta.moment(at * store.fitted.step_seconds).isoformat(),
        }
        for row, at, is_liked in zip(*columns, strict=True)
    ]
