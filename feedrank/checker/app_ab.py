"""The course's second upload, an A/B test: two models, and answers that name the user's group.

Beside it lie `model_control` and `model_test`, each as `model` of the first upload. What this file
imports from `feedrank.checker.app` stands in it when it is uploaded.
"""

import hashlib
import os
import sys
from datetime import datetime
from typing import Any, Dict, List

from fastapi import FastAPI
from pydantic import BaseModel

from feedrank.checker.app import HERE, PostGet, best_posts, load_model

SALT, TEST_SHARE = "feedrank", 0.5


class Response(BaseModel):
    """A list, and the group of its user."""

    exp_group: str
    recommendations: List[PostGet]


def get_model_path(model_version: str) -> str:
    """Path of the model `control` or `test`: in the checker's own folder where IS_LMS is 1."""
    folder = "/workdir/user_input" if os.environ.get("IS_LMS") == "1" else HERE
    return os.path.join(folder, f"model_{model_version}")


def load_models() -> Dict[str, Any]:
    """Both models by their group; raises as `load_model`."""
    return {group: load_model(get_model_path(group)) for group in ("control", "test")}


def get_exp_group(user_id: int) -> str:
    """Group of a user, as the service assigns it: from the first 64 bits of SHA-256."""
    digest = hashlib.sha256(f"{SALT}:{user_id}".encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64 else "control"


app = FastAPI(title="feedrank")


@app.get("/post/recommendations", response_model=Response, include_in_schema=False)
@app.get("/post/recommendations/", response_model=Response)
def recommended_posts(id: int, time: datetime, limit: int = 10) -> Response:
    """The group of this user, and the posts that its model finds most likely to be liked."""
    group = get_exp_group(id)
    posts = best_posts(load_models()[group], id, time, limit)
    return Response(exp_group=group, recommendations=posts)


if os.path.isfile(get_model_path("control")):
    try:
        load_models()  # at import, so that no request waits for it
    except (RuntimeError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")  # a sentence rather than a traceback

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
