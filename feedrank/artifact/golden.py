"""Golden requests: stored with their answers at export, answered again before serving."""

from __future__ import annotations

from typing import Any

import numpy as np

from feedrank.errors import ArtifactError
from feedrank.log.metadata import LogMeta
from feedrank.ranking.recommender import Recommender

N_MOMENTS = 4  # before, within (2) and after the log; each costs the load 40 to 70 ms
TOLERANCE = 1e-5  # of a probability: other processors round other last bits


def draw_golden(recommender: Recommender, n: int, seed: int, k: int) -> list[dict[str, Any]]:
    """Requests of random users at a few moments, one before and one after the log, with answers.

    Few moments, since loading an artifact derives the shared state of each.
    """
    rng = np.random.default_rng(seed)
    meta = recommender.meta
    users = rng.integers(0, meta.n_users, n)
    within = rng.integers(0, meta.last_at + 1, N_MOMENTS - 2).tolist()
    moments = [-meta.last_at // 10 - 1, *within, meta.last_at + meta.last_at // 10 + 1]
    requests = zip(users.tolist(), sorted(moments[i % N_MOMENTS] for i in range(n)))
    return [answered(recommender, user, at, k) for user, at in requests]


def answered(recommender: Recommender, user: int, at: int, k: int) -> dict[str, Any]:
    """One request, by the row of its user and its second, with its answer."""
    ranked = recommender.rank(user, at, k)
    probability = [round(p, 7) for p in ranked.probability.tolist()]
    return {"user": user, "at": at, "post": ranked.post.tolist(), "probability": probability}


def check_golden(golden: list[dict[str, Any]], meta: LogMeta, n: int) -> None:
    """Check stored requests before they are answered: rows of users and posts, and how many.

    Raises:
        ValueError: there are not `n`, or one names a row that is not there.
    """
    if len(golden) != n:
        raise ValueError(f"it holds {len(golden)} requests, and {n} are to be")
    for request in golden:
        user, post = request["user"], request["post"]
        if not (0 <= user < meta.n_users and all(0 <= row < meta.n_posts for row in post)):
            raise ValueError(f"a request is of user {user} with posts {post}")


def replay(recommender: Recommender, stored: list[dict[str, Any]], name: str) -> None:
    """Answer the stored requests of an artifact again; `name` is its name in the message.

    Raises:
        ArtifactError: an answer is not the stored one.
    """
    for golden in stored:
        user, at, post = golden["user"], golden["at"], golden["post"]
        ranked = recommender.rank(user, at, max(len(post), 1))  # no post is stored: none is open
        # Posts of nearly equal probability may change places on another processor, so the
        # stored posts are scored again rather than compared.
        scored = recommender.score(user, at, np.array(post, dtype=np.int64))
        if not (
            close(ranked.probability, golden["probability"])
            and close(scored, golden["probability"])
        ):
            raise ArtifactError(
                f"'{name}' answers request user {user}, second {at} with posts "
                f"{ranked.post.tolist()} of {ranked.probability.tolist()}, but {post} of "
                f"{golden['probability']} was stored at export. The files or libraries differ "
                "from those it was made with: compare the versions in its manifest."
            )


def close(probability: np.ndarray, stored: np.ndarray | list[float]) -> bool:
    """Whether probabilities are the stored ones, but for the last bits."""
    return len(probability) == len(stored) and np.allclose(
        probability, stored, rtol=0, atol=TOLERANCE
    )
