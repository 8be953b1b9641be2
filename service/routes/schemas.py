"""Schemas of requests and answers over HTTP, with the messages for wrong parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictInt,
    WithJsonSchema,
)

from feedrank.log.exposures import Arm
from feedrank.schema import WIDEST_ID
from feedrank.state.catalogue import Id

MOST_IDS = 1_000  # in one parameter: each is found in a microsecond, and listed posts are few
MOST_POSTS = 100  # of one list: some screens of a feed, ranked in the time of five
INT64 = 2**63
DAY = timedelta(days=1)
ISO_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
WRITTEN_IDS = r"^(-?[0-9]{1,18}(,-?[0-9]{1,18})*)?$"  # in the document
DIGITS = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def whole_number(value: Any) -> Any:
    """An int from digits alone: not '1e9', not '5.0', not '1_000'."""
    if isinstance(value, str):
        if not DIGITS.fullmatch(value):
            raise ValueError("write a whole number in digits, such as 200")
        return int(value)
    return value


def moment(value: Any) -> Any:
    """A moment: naive on the log's clock, or with an offset in UTC."""
    if not isinstance(value, str) or not ISO_TIME.fullmatch(value):
        raise ValueError(
            "write a moment as in 2021-12-29T18:00:00, or with an offset as in "
            "2021-12-29T18:00:00Z (a + in an address is written %2B)"
        )
    try:
        at = datetime.fromisoformat(value.upper())
        if at.tzinfo is None:
            return at
        # The log's clock is less than a day ahead or behind, where there must be a moment too.
        return (at.astimezone(UTC) - DAY + 2 * DAY) - DAY
    except (ValueError, OverflowError):
        raise ValueError("there is no such moment; check month, day, hour and offset") from None


def text(value: str) -> str:
    """Text that UTF-8 can hold: a body of JSON may hold half of a pair of surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character (a lone surrogate)") from None
    return value


def given_id(value: Id) -> Id:
    """An id as the extract takes it: all that are text are held at the width of the longest."""
    written = text(str(value))  # where ids are text, a number is one too
    if len(written.encode()) > WIDEST_ID or "\0" in written:
        raise ValueError(f"an id has at most {WIDEST_ID} bytes, none of them 0")
    return value


Text = Annotated[str, AfterValidator(text)]
GivenId = Annotated[
    StrictInt | str,
    AfterValidator(given_id),
    Field(description="As in the database.", examples=[200]),
]
# Bounds stand before the validator, or the document would not hold them.
WholeId = Annotated[int, Field(ge=-INT64, le=INT64 - 1), BeforeValidator(whole_number)]
# Parsed by the kind of the artifact's ids; the document names it likewise.
UserId = Annotated[
    str,
    WithJsonSchema({"type": "integer", "minimum": -INT64, "maximum": INT64 - 1, "examples": [200]}),
    Query(
        alias="id",
        description="The user, as in the database.",
        examples=[200],
    ),
]
Time = Annotated[
    datetime,
    BeforeValidator(moment),
    Query(
        alias="time",
        description="Moment of the request, ISO 8601. Without an offset it is on the log's own "
        "clock; with one it is converted to that. The answer uses nothing later. A moment after "
        "the log's end is answered as the end.",
        examples=["2021-12-15T18:00:00"],
    ),
]
Limit = Annotated[
    int,
    Field(ge=1, le=MOST_POSTS),
    BeforeValidator(whole_number),
    Query(description="Length of the list.", examples=[5]),
]


def _ids(alias: str, description: str) -> Any:
    """A parameter that holds ids, separated by commas or given again and again."""
    schema = {
        "type": "array",
        "items": {"type": "string", "pattern": WRITTEN_IDS},
        "examples": ["1504,3300"],
    }
    description = f"{description} Separated by commas, or given again; {MOST_IDS:,} at most."
    return Annotated[
        list[str] | None, WithJsonSchema(schema), Query(alias=alias, description=description)
    ]


Exclude = _ids("exclude", "Posts that are not listed; unknown ids are ignored.")
Candidates = _ids("candidates", "Posts to choose from, all by default; unknown ids are left out.")
PostId = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": -INT64, "maximum": INT64 - 1, "examples": [1504]}
    ),
    Path(alias="id", description="The post, as in the database.", examples=[1504]),
]
Topics = Annotated[
    list[str] | None,
    Query(
        alias="topic",
        description="Topics, of which a post must have one, as in an answer; may be given again.",
        examples=["movie"],
    ),
]


class Post(BaseModel):
    """A recommended post; its id is a number or text, as in the database."""

    id: Id
    text: str
    topic: str


class AssignedList(BaseModel):
    """A list, and the arm of the A/B test that its user is in."""

    exp_group: Arm
    recommendations: list[Post]


class Reason(BaseModel):
    """Contribution to a probability of one feature, or of those that the same words tell.

    Attributes:
        feature: the one that contributes most.
        effect: log-odds that it adds for this post, against an average post for this user.
        times: the same as a factor of the odds.
        words: meaning of the feature for this user and post.
        sentence: all of it in one line for people.
    """

    feature: str
    value: float | None = Field(description="Value of the feature for this post; null if unknown.")
    effect: float
    times: float
    words: str
    sentence: str


class ExplainedPost(Post):
    """A recommended post with its probability and reasons, the strongest first."""

    probability: float = Field(ge=0, le=1)
    reasons: list[Reason]
    others: float = Field(description="Log-odds of all features that are not named.")
    explores: bool = Field(description="Drawn, since it may be better than is known yet.")


class Explanation(BaseModel):
    """A list with reasons: `sigmoid(base + effects + others)` is a post's probability."""

    exp_group: Arm
    artifact: str
    base: float = Field(description="Log-odds of an average post for this user at this moment.")
    base_probability: float = Field(ge=0, le=1)
    recommendations: Sequence[ExplainedPost]


class Problem(BaseModel):
    """The reason of an error, and what to do."""

    detail: str


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Followed(BaseModel):
    """How far the follower of the database has come."""

    behind_seconds: float = Field(description="Since the last poll that found all that was new.")
    events: int = Field(description="New events since its start.")
    error: str | None = Field(description="Why the last poll failed; null if it did not.")


class Ready(BaseModel):
    """An artifact is loaded and its golden requests were answered as stored."""

    status: Literal["ready", "draining"]
    artifact: str
    failing: list[str]
    follower: Followed | None = Field(None, description="Null if no database is followed.")


class Version(BaseModel):
    """One artifact: its id, age and manifest."""

    exp_group: Arm
    artifact: str
    as_of: str = Field(description="Time of the last impression in the artifact.")
    as_of_age_days: float = Field(description="Days from then to now.")
    loaded_at: str
    refused: str | None = Field(description="Why a newer artifact is not served; null if none is.")
    manifest: dict[str, Any]


class Versions(BaseModel):
    """Version of the service and its artifacts: one, or the two of an A/B test."""

    service: str
    artifacts: list[Version]
