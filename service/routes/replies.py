"""Replies of the service: from an asked list to its JSON."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse

from feedrank.ranking.explanations import Reasons, sentence
from service.routes.schemas import Limit, Moment, Problem, UserId
from service.serving.inference import Answer, Asked, Desk

N_REASONS = 4


LISTED = "The posts, best first; X-Known-Until says up to when the log was used."


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The API key is missing or another."},
    404: {"model": Problem, "description": "Nobody of this id is among the users."},
    414: {"model": Problem, "description": "The address is too long."},
    422: {"model": Problem, "description": "A parameter is missing, malformed or out of range."},
    503: {"model": Problem, "description": "Too many requests wait; see Retry-After."},
}


async def asked(request: Request, user_id: UserId, at: Moment, limit: Limit = 5) -> Asked:
    """The request in its parameters; each may be given once."""
    pairs = request.query_params.multi_items()
    if len(pairs) > len(request.query_params):
        counted = Counter(name for name, _ in pairs)
        raise RequestValidationError(
            [
                {
                    "loc": ("query", name),
                    "msg": f"given {n} times; give it once",
                    "input": None,
                    "type": "repeated",
                }
                for name, n in counted.items()
                if n > 1
            ]
        )
    request.scope["user_id"] = user_id
    return Asked(user_id, at, limit)


AskedParams = Annotated[Asked, Depends(asked)]


def desk_of(request: Request) -> Desk:
    """The desk of the running service."""
    desk: Desk = request.app.state.desk
    return desk


def reply(answer: Answer, content: Any) -> JSONResponse:
    """An answer that names its group, artifact and the end of what it knows in headers."""
    model = answer.model
    headers = {
        "X-Exp-Group": model.group,
        "X-Artifact": model.version,
        "X-Known-Until": answer.known_until.isoformat(),
    }
    return JSONResponse(content, headers=headers)


def explanation(answer: Answer, reasons: Reasons) -> dict[str, Any]:
    """A list and its reasons as `Explanation`."""
    model = answer.model
    return {
        "exp_group": model.group,
        "artifact": model.version,
        "base": reasons.base,
        "base_probability": reasons.base_probability,
        "recommendations": [
            {**post, "probability": p, **_of_post(answer, reasons, row)}
            for row, (post, p) in enumerate(
                zip(answer.posts(), answer.ranked.probability.tolist(), strict=True)
            )
        ],
    }


def _of_post(answer: Answer, reasons: Reasons, row: int) -> dict[str, Any]:
    features = answer.model.artifact.recommender.features
    named = reasons.strongest(row, N_REASONS)
    effects = reasons.effects[row]
    told = [
        {
            "feature": features[i].name,
            "value": _finite(float(reasons.values[row, i])),
            "effect": float(effects[i]),
            "times": float(2.718281828459045 ** effects[i]),
            "words": reasons.words[i],
            "sentence": sentence(reasons.words[i], float(effects[i])),
        }
        for i in named
    ]
    return {"reasons": told, "others": float(effects.sum() - effects[named].sum())}


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
