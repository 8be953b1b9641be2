"""The course's app: `load_models`, and a user's feed at `/post/recommendations/`.

Beside it lies `model`, one file with the library, the feature store and the ranker. Runs on Python
3.8 and later with the course's packages or with current ones: see docs/checker.md.
"""

import os
import sys
import zipfile
from datetime import datetime
from functools import lru_cache
from typing import Any, List

import pydantic
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

# Before numpy is imported: the state of a day takes half the time on one thread of a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = os.path.dirname(os.path.abspath(__file__))


class PostGet(BaseModel):
    """A recommended post."""

    id: int
    text: str
    topic: str

    if pydantic.VERSION.startswith("1."):

        class Config:
            """Reads attributes as well as keys."""

            orm_mode = True

    else:
        model_config = {"from_attributes": True}  # the name of `orm_mode` since pydantic 2


@lru_cache(maxsize=None)
def load_model(path: str) -> Any:
    """The model of a file, with `predict` and `predict_proba`; read once.

    Raises:
        FileNotFoundError: there is no such file.
        RuntimeError: it was cut or changed, or answers otherwise here, in a sentence.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"'{path}' is missing. Put the file there.")
    damage = damage_of(path)
    if damage:
        raise RuntimeError(f"'{path}' is not whole: {damage}. Upload the files again.")
    sys.path.insert(0, path)  # the file is a zip that holds the library
    from feedrank.checker.model import Model
    from feedrank.errors import ArtifactError

    try:
        return Model.load(path)
    except ArtifactError as error:
        raise RuntimeError(str(error)) from error


def damage_of(path: str) -> str:
    """What is wrong with a zip by its own checksums, before anything is imported from it; or ""."""
    try:
        with zipfile.ZipFile(path) as archive:
            changed = archive.testzip()
    except Exception as error:  # changed bytes fail in many ways; each is a refusal
        return str(error) or type(error).__name__
    return f"the checksum of '{changed}' differs" if changed else ""


def best_posts(model: Any, id: int, time: datetime, limit: int) -> List[PostGet]:
    """A model's posts, best first; what it refuses as an answer of HTTP."""
    try:
        return [PostGet(**post) for post in model.posts(id, time, limit)]
    except KeyError:
        raise HTTPException(404, f"there is no user {id}; ask for one of the data") from None
    except (ValueError, OverflowError) as error:
        raise HTTPException(422, str(error)) from None


# Until here the second upload is the same: feedrank/checker/app_ab.py.


MODEL = os.path.join(HERE, "model")


def get_model_path(path: str) -> str:
    """Path of the model: in the checker's own folder where IS_LMS is 1, else `path`."""
    if os.environ.get("IS_LMS") == "1":
        return "/workdir/user_input/model"
    return path


def load_models() -> Any:
    """The model; raises as `load_model`."""
    return load_model(get_model_path(MODEL))


app = FastAPI(title="feedrank")


@app.get("/post/recommendations", response_model=List[PostGet], include_in_schema=False)
@app.get("/post/recommendations/", response_model=List[PostGet])
def recommended_posts(id: int, time: datetime, limit: int = 10) -> List[PostGet]:
    """The posts that this user is most likely to like at this moment, best first."""
    return best_posts(load_models(), id, time, limit)


if os.path.isfile(get_model_path(MODEL)):
    try:
        load_models()  # at import, so that no request waits for it
    except RuntimeError as error:
        sys.exit(f"error: {error}")  # a sentence rather than a traceback

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
