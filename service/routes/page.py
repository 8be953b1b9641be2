"""What the page at `/` shows: whom to look at, who they are, their feed and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from feedrank.ranking.explanations import explain
from service.routes.replies import PROBLEMS, AskedParams, desk_of, explanation, reply
from service.routes.schemas import ExplainedPost
from service.serving.inference import Answer, Desk
from service.serving.model_slot import Model

N_SUGGESTED = 6
N_HISTORY = 40
router = APIRouter(tags=["page"])


class SuggestedUser(BaseModel):
    """Somebody to look at."""

    id: int
    known_for: str
    profile: dict[str, str]
    n_shown: int


class Suggestions(BaseModel):
    """Whom and when to look at."""

    since: str
    until: str
    step_seconds: int
    n_users: int
    n_posts: int
    users: list[SuggestedUser]


class SeenPost(BaseModel):
    """A post that was shown to the user before."""

    id: int
    text: str
    topic: str
    liked: bool
    day: str


class TopicCount(BaseModel):
    """How often a topic was shown and liked."""

    topic: str
    n_shown: int
    n_liked: int


class FeedPost(ExplainedPost):
    """A recommended post, and how often its user saw and liked it before."""

    n_shown: int
    n_liked: int


class Feed(BaseModel):
    """All that the page shows of a user at a moment."""

    id: int
    profile: dict[str, str]
    known_until: str
    n_shown: int
    n_liked: int
    topics: list[TopicCount]
    history: list[SeenPost]
    exp_group: str
    artifact: str
    base_probability: float
    recommendations: list[FeedPost]


@router.get(
    "/feed/suggestions", response_model=Suggestions, response_description="Users and the period."
)
async def suggestions(request: Request) -> JSONResponse:
    """A few users who differ, from seldom to often there, and the period of the log."""
    desk = desk_of(request)
    model = desk.slots["control"].current
    meta = model.artifact.recommender.meta
    content = {
        "since": meta.origin_at.isoformat(),
        "until": meta.moment(meta.last_at).isoformat(),
        "step_seconds": model.artifact.store.fitted.step_seconds,
        "n_users": meta.n_users,
        "n_posts": meta.n_posts,
        "users": _suggested(model),
    }
    return JSONResponse(content)


@router.get(
    "/feed",
    response_model=Feed,
    responses=PROBLEMS,
    response_description="The user, their past, the list and its reasons.",
)
async def feed(request: Request, asked: AskedParams) -> JSONResponse:
    """One user at one moment: profile, what they saw and liked before, the list and why."""
    desk = desk_of(request)
    async with desk.gate.turn():
        content, answer = _feed(desk, asked)
    return reply(answer, content)


def _suggested(model: Model) -> list[dict[str, Any]]:
    """Users at even places of the order by impressions, most active last."""
    offsets = model.artifact.store.history.offsets
    n_shown = np.diff(offsets)
    order = np.argsort(n_shown, kind="stable")
    places = np.linspace(0, len(order) - 1, N_SUGGESTED + 1)[1:].astype(int)
    ids = model.artifact.store.catalogue.user_ids
    return [
        {
            "id": int(ids[u]),
            "known_for": _known_for(model, u),
            "profile": profile_of(model, u),
            "n_shown": int(n_shown[u]),
        }
        for u in dict.fromkeys(order[places].tolist())
    ]


def _known_for(model: Model, user: int) -> str:
    """The profile value by which people's tastes differ most."""
    column = model.artifact.store.fitted.segment_column
    if column < 0:
        return ""
    name, value = list(profile_of(model, user).items())[column]
    return f"{name.replace('_', ' ')} {value}"


def profile_of(model: Model, user: int) -> dict[str, str]:
    """A user's profile values in words."""
    store = model.artifact.store
    codes = store.catalogue.codes[user].tolist()
    return {c.name: c.label(code) for c, code in zip(store.columns, codes, strict=True)}


def _feed(desk: Desk, asked: AskedParams) -> tuple[dict[str, Any], Answer]:
    answer = desk.answer(asked)
    model = answer.model
    store, recommender = model.artifact.store, model.artifact.recommender
    reasons = explain(model.artifact.recommender, answer.user, answer.at, answer.ranked)
    past = store.history.before(answer.user, recommender.step(answer.at))
    content = explanation(answer, reasons)
    for row, told in zip(answer.ranked.post.tolist(), content["recommendations"], strict=True):
        is_it = past[0] == row
        told |= {"n_shown": int(is_it.sum()), "n_liked": int(past[2][is_it].sum())}
    return {
        "id": asked.user_id,
        "profile": profile_of(model, answer.user),
        "known_until": answer.known_until.isoformat(),
        "n_shown": len(past[0]),
        "n_liked": int(past[2].sum()),
        "topics": _topics(model, past[0], past[2]),
        "history": _history(model, *past),
        **{k: content[k] for k in ("exp_group", "artifact", "base_probability")},
        "recommendations": content["recommendations"],
    }, answer


def _topics(model: Model, post: np.ndarray, liked: np.ndarray) -> list[dict[str, Any]]:
    """Topics of what was shown, most shown first."""
    store = model.artifact.store
    topic = store.fitted.topic
    n_shown = np.bincount(topic[post], minlength=store.fitted.n_topics)
    n_liked = np.bincount(topic[post], liked, store.fitted.n_topics)
    return [
        {
            "topic": store.topic[int(np.argmax(topic == code))],
            "n_shown": int(n_shown[code]),
            "n_liked": int(n_liked[code]),
        }
        for code in np.argsort(-n_shown, kind="stable").tolist()
        if n_shown[code]
    ]


def _history(
    model: Model, post: np.ndarray, step: np.ndarray, liked: np.ndarray
) -> list[dict[str, Any]]:
    """The last impressions, latest first."""
    store, meta = model.artifact.store, model.artifact.recommender.meta
    seconds = store.fitted.step_seconds
    last = slice(None, -N_HISTORY - 1, -1)
    return [
        {
            "id": int(store.catalogue.post_ids[row]),
            "text": store.text[row],
            "topic": store.topic[row],
            "liked": bool(is_liked),
            "day": meta.moment(at * seconds).isoformat(),
        }
        for row, at, is_liked in zip(
            post[last].tolist(), step[last].tolist(), liked[last].tolist(), strict=True
        )
    ]
