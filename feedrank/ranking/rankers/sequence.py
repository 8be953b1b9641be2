"""Sequence ranker: self-attention over a user's latest impressions, in the small.

One block of SASRec (Kang and McAuley 2018), whose tokens are impressions that were liked or not,
on top of the first stage's log-odds. PyTorch fits it; numpy answers by the same lines of code.
"""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np

from feedrank.ranking.rankers.learned import Arrays, LearnedRanker, RankerRows
from feedrank.state.past import Latest
from feedrank.stats.decisions import is_likely

if TYPE_CHECKING:
    from feedrank.params import TrainParams

WIDTH = 64  # impressions of a user
SIZE = 16  # of a vector
BATCH = 256  # requests of a step of Adam
MOST_PASSES, PATIENCE = 30, 5  # over the rows, at most; without a better one
# Of AdamW: a rule of the last post (tests) is learned in 3 to 4 passes, at a rate of .003 in 10;
# with a decay of .01 the loss of other rows then rises by .05 within 8 passes, with 1 by .01.
RATE, DECAY = 0.01, 1.0
SMALL = 0.2  # scale of the first vectors of posts; with 1 the rule takes 11 passes
LARGEST = 20.0  # of an attention's logit: its exponential stays finite in float32
TINY = 1e-9  # beside a sum of exponentials, each of which is e**-20 or more


class SequenceRanker(LearnedRanker):
    """First-stage log-odds, and the product of a user's vector and a post's."""

    name = "sequence"
    gives_log_odds = True

    @classmethod
    def fit(
        cls, rows: RankerRows, late: RankerRows | None, params: TrainParams, early: Arrays | None
    ) -> Arrays:
        """Weights by logistic loss, from as many passes as likely help the late rows.

        Without late rows to judge by there is no pass: the ranker is the first stage.
        """
        passes = _passes(rows, params)
        if late is not None:
            n_passes, weights = _best(passes, late)
        else:
            n_passes = 0 if early is None else int(early["n_passes"])
            weights = next(islice(passes, n_passes, None))
        return {**weights, "n_passes": np.array(n_passes)}

    def score(self, rows: RankerRows) -> np.ndarray:
        """Log-odds; a post that the fit did not know adds nothing."""
        return _log_odds(self.learned, rows, rows.past.latest(WIDTH))


def _start(n_posts: int, seed: int) -> dict[str, np.ndarray]:
    """First weights."""
    rng, matrix = np.random.default_rng(seed), (SIZE, SIZE)
    shapes = {"post": (n_posts + 1, SIZE), "place": (WIDTH, SIZE), "bias": (1, SIZE)}
    shapes.update(dict.fromkeys(("query", "key", "value", "inner", "outer"), matrix))
    found = {n: rng.normal(0, SIZE**-0.5, s).astype(np.float32) for n, s in shapes.items()}
    found["post"] *= SMALL
    found["post"][-1] = 0.0  # of posts that the fit did not know, and of no post
    found["answer"] = np.stack([-np.ones(SIZE), np.ones(SIZE)]).astype(np.float32)
    return found


def _scores(xp: Any, w: Mapping[str, Any], past: Latest, request: Any, post: Any) -> Any:
    """Of posts for requests, float32, shape (n,); `xp` is numpy or torch, and so are arrays."""
    there = (past.post >= 0)[:, None]
    token = w["post"][past.post] * w["answer"][past.liked] + w["place"]
    key, value = token @ w["key"], token @ w["value"]
    logit = (token[:, -1:] @ w["query"]) @ key.swapaxes(1, 2) * SIZE**-0.5
    share = xp.exp(xp.clip(logit, -LARGEST, LARGEST)) * there
    user = (share / (share.sum(-1)[:, :, None] + TINY)) @ value
    hidden = user @ w["inner"] + w["bias"]
    user = (user + hidden * (hidden > 0) @ w["outer"])[:, 0]
    return (user[request] * w["post"][post]).sum(-1)


def _log_odds(weights: Arrays, rows: RankerRows, past: Latest) -> np.ndarray:
    """Of the first stage and the sequence, float64, shape (n,)."""
    none = len(weights["post"]) - 1
    known = past._replace(post=np.where(past.post < none, past.post, -1))
    post = np.where(rows.post < none, rows.post, none)
    first = rows.log_odds.astype(np.float64)
    return first + _scores(np, weights, known, rows.request, post)


def _passes(rows: RankerRows, params: TrainParams) -> Iterator[dict[str, np.ndarray]]:
    """Weights before the first pass over the rows, and after each."""
    import torch

    torch.set_num_threads(params.threads)
    past = rows.past.latest(WIDTH)
    n_posts = 1 + int(max(rows.post.max(), past.post.max(initial=0)))
    weights = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in _start(n_posts, params.seed).items()
    }
    adam = torch.optim.AdamW(weights.values(), lr=RATE, weight_decay=DECAY)
    start = _plain(weights)
    yield {**start, "post": np.zeros_like(start["post"])}  # no post adds anything
    for number in count():
        _pass(weights, adam, rows, past, np.random.default_rng((params.seed, number)))
        yield _plain(weights)


def _best(
    passes: Iterator[dict[str, np.ndarray]], late: RankerRows
) -> tuple[int, dict[str, np.ndarray]]:
    """The number of passes with the least loss on late rows, 0 if none is sure, and its weights."""
    past, found = late.past.latest(WIDTH), []
    for n_passes, weights in enumerate(islice(passes, MOST_PASSES + 1)):
        found.append((_losses(weights, late, past), weights))
        best = int(np.argmin([losses.mean() for losses, _ in found]))
        if n_passes - best >= PATIENCE:
            break
    best = best if is_likely(found[0][0] - found[best][0]) else 0
    return best, found[best][1]


def _pass(
    weights: Mapping[str, Any], adam: Any, rows: RankerRows, past: Latest, rng: np.random.Generator
) -> None:
    """One pass over all requests in a random order."""
    import torch

    n_requests = len(past.post)
    by_request = np.argsort(rows.request, kind="stable")
    edges = np.searchsorted(rows.request[by_request], np.arange(n_requests + 1))
    for some in np.array_split(rng.permutation(n_requests), max(1, n_requests // BATCH)):
        row = np.concatenate([by_request[edges[i] : edges[i + 1]] for i in some.tolist()])
        request = np.repeat(np.arange(len(some)), np.diff(edges)[some])
        own = Latest(*(torch.from_numpy(column[some]) for column in past))
        of_rows = (request, rows.post[row], rows.log_odds[row], rows.liked[row].astype(np.float32))
        request, post, margin, liked = (torch.from_numpy(column) for column in of_rows)
        adam.zero_grad()
        score = margin + _scores(torch, weights, own, request, post)
        torch.nn.functional.binary_cross_entropy_with_logits(score, liked).backward()
        adam.step()


def _losses(weights: Arrays, rows: RankerRows, past: Latest) -> np.ndarray:
    """Logistic loss of each row."""
    log_odds = _log_odds(weights, rows, past)
    return np.logaddexp(0, log_odds) - rows.liked * log_odds


def _plain(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in weights.items()}
