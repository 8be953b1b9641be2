"""Search of the page: users by words of their profile, posts by words of text and topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import JSONResponse

from feedrank.artifact.artifact import Artifact
from feedrank.state.catalogue import Id, are_text, plain_ids
from feedrank.state.profiles import ProfileColumn
from service.routes.replies import PROBLEMS, Running, misplaced
from service.routes.schemas import Post
from service.serving.feed_request import post_content

MOST_FOUND = 12  # users, and posts: what fits the page without scrolling
MOST_WORDS = 20  # more than one types; each is looked for in all texts
Words = Annotated[str, Query(description="Words, all of which must be found.", examples=["tech"])]
router = APIRouter(tags=["page"])


class SuggestedUser(BaseModel):
    """A suggested user."""

    id: Id
    known_for: str
    profile: dict[str, str]
    n_shown: int


class Found(BaseModel):
    """Users and posts that hold all words of a search."""

    n_users: int
    users: list[SuggestedUser]
    posts: list[Post]


@router.get(
    "/feed/search",
    response_model=Found,
    responses={code: PROBLEMS[code] for code in (401, 414, 422)},
    response_description="Users and posts.",
)
def search(inference: Running, q: Words) -> JSONResponse:
    """Users by words of their profile, such as `age 24`, and posts by words of text and topic."""
    artifact, words = inference.slots["control"].current.artifact, q.split()
    if len(words) > MOST_WORDS:
        found = f"of {len(words):,} words; give {MOST_WORDS} at most"
        raise RequestValidationError([misplaced("q", found)])
    users, n_users = users_of(artifact, words)
    content = {
        "n_users": n_users,
        "users": described(artifact, users.tolist()),
        "posts": [post_content(artifact.store, row) for row in posts_of(artifact, words)],
    }
    return JSONResponse(content)


def described(artifact: Artifact, users: list[int]) -> list[dict[str, Any]]:
    """Users with their profile and number of impressions."""
    n_shown = artifact.store.history.n_shown
    ids = plain_ids(artifact.store.catalogue.user_ids[users])
    return [
        {
            "id": user_id,
            "known_for": _segment(artifact, u),
            "profile": profile_of(artifact, u),
            "n_shown": int(n_shown[u]),
        }
        for user_id, u in zip(ids, users, strict=True)
    ]


def _segment(artifact: Artifact, user: int) -> str:
    """The profile values that tell a user's segment, in words; empty where all are one."""
    values = list(profile_of(artifact, user).items())
    known_for = [values[column] for column in artifact.store.fitted.segment_columns]
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known_for)


def profile_of(artifact: Artifact, user: int) -> dict[str, str]:
    """A user's profile values in words."""
    store = artifact.store
    codes = store.catalogue.profiles_of(np.array([user]))[0][0].tolist()
    return {c.name: c.label(code) for c, code in zip(store.columns, codes, strict=True)}


def users_of(artifact: Artifact, words: Sequence[str]) -> tuple[np.ndarray, int]:
    """The most active users whose profile holds every word, and how many there are in all.

    A number finds the band that holds it; any other word the values in which a word begins with it.
    After a column's name a word is sought in that column alone. A user's id finds the user.

    Args:
        artifact: that knows them.
        words: without any, nobody is found.

    Returns:
        Rows of users, most impressions first, at most `MOST_FOUND`.
    """
    store = artifact.store
    codes = np.asarray(store.catalogue.codes)
    found = np.full(len(codes), bool(words))
    ids = store.catalogue.user_ids
    ids = np.char.decode(ids) if are_text(ids) else ids.astype(str)
    for name, word in _named(words, {column.name.casefold() for column in store.columns}):
        of_word = ids == word
        for number, column in enumerate(store.columns):
            if name in ("", column.name.casefold()):
                of_word |= _matches(column, word)[codes[:, number]]
        found &= of_word
    rows = np.flatnonzero(found)
    n_shown = store.history.n_shown[rows]
    return rows[np.argsort(-n_shown, kind="stable")][:MOST_FOUND], len(rows)


def posts_of(artifact: Artifact, words: Sequence[str]) -> list[int]:
    """Rows of the first open posts in whose text or topic every word begins a word."""
    return list(islice(_posts(artifact, words), MOST_FOUND)) if words else []


def _posts(artifact: Artifact, words: Sequence[str]) -> Iterator[int]:
    store = artifact.store
    for row in store.catalogue.open_posts(store.meta.last_at).tolist():
        text = f"{store.topic[row]} {store.text[row]}"
        if all(_begins_a_word(word, text) for word in words):
            yield row


def _named(words: Sequence[str], names: set[str]) -> Iterator[tuple[str, str]]:
    """Each word, after the column's name before it; a last name is a word of its own."""
    name = ""
    for place, word in enumerate(words):
        if not name and word.casefold() in names and place < len(words) - 1:
            name = word.casefold()
        else:
            yield name, word
            name = ""


def _matches(column: ProfileColumn, word: str) -> np.ndarray:
    """Whether each code of a column answers a word, shape (n_codes,)."""
    if column.edges and _is_number(word):
        band = 1 + int(np.searchsorted(column.edges, float(word), side="left"))
        return np.arange(column.n_codes) == band
    return np.array([_begins_a_word(word, column.label(c)) for c in range(column.n_codes)])


def _is_number(word: str) -> bool:
    return word.removeprefix("-").replace(".", "", 1).isdecimal()


def _begins_a_word(word: str, text: str) -> bool:
    return f" {word.casefold()}" in f" {text.casefold()}"
