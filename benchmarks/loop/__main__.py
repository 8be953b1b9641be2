"""Closed loop: a network whose feed is what the service answers, week after week.

    make loop          (or: python -m benchmarks.loop --explore .05)

A simulated network has six weeks of a random feed. Then, eight times: the pipeline rebuilds from
the network's PostgreSQL, the artifact is deployed if the gate lets it, a real service answers every
session of a week over HTTP, users like by the true rates, and rows and exposures go back. Beside it
the same ranker learns from the same weeks of a random feed, and the first artifact is kept as it
was. Prints a line a week; the true hit rates are of the first five posts of each, on the sessions
of that week; `expected` is of the week before, as `validate` judged it.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.loop.judge import K, lists_of, of_random_feed, rates
from benchmarks.loop.picture import draw
from benchmarks.loop.product import Product
from benchmarks.loop.world import WEEK, Session, World
from feedrank.artifact.artifact import Artifact
from feedrank.engines.processes import one_thread_of_algebra
from feedrank.log.metadata import SECONDS_A_DAY
from feedrank.params import Params, load_params

COLUMNS = (
    "week", "ours", "explored", "on a random feed", "first", "oracle", "expected", "low", "high",
    "truth of expected", "headline", "likes a view", "never shown",
)  # fmt: skip
FOUND = 10  # impressions after which a new post counts as found


class Shown:
    """Posts that the loop has shown so far.

    Attributes:
        impressions: of each post, shape (n_posts,).
        found_after: days from the publication of a withheld post until it was found; NaN: not yet.
    """

    def __init__(self, world: World) -> None:
        n_posts = len(world.network.posts)
        self.impressions, self.found_after = np.zeros(n_posts, np.int64), np.full(n_posts, np.nan)
        self._published_at = world.published_at

    def add(self, sessions: list[Session], lists: list[np.ndarray]) -> None:
        """Count lists, in order of time."""
        for session, posts in zip(sessions, lists, strict=True):
            self.impressions[posts] += 1
            new = posts[(self.impressions[posts] == FOUND) & np.isnan(self.found_after[posts])]
            self.found_after[new] = (session.at[0] - self._published_at) / SECONDS_A_DAY


class Loop:
    """Weeks of one product, whose service runs from the first to the last."""

    def __init__(self, product: Product, stack: ExitStack, params: Params) -> None:
        self._product, self._stack, self._params = product, stack, params
        self.shown = Shown(product.world)
        self._client: httpx2.Client | None = None
        self._first: Artifact | None = None

    def play(self, week: int) -> dict[str, Any]:
        """One week, and its numbers."""
        world, begins = self._product.world, self._product.world.warm + week * WEEK
        if begins == world.published_at and len(world.withheld):
            self._product.publish()
        metrics = self._product.build(begins)
        refused = self._product.deploy(forced=self._client is None)
        self._client = self._client or self._stack.enter_context(self._product.served())
        sessions = world.sessions(begins, begins + WEEK)
        lists = self._product.lists(self._client, sessions)
        self.shown.add(sessions, lists)
        views = world.views(sessions, lists, week)
        self._product.append(views)
        judged, published = metrics[f"hitrate@{K}"], world.posts(begins)
        return {
            "week": week,
            **rates(world, sessions, self._best(begins, sessions)),
            "likes a view": float(views.liked.mean()),
            "expected": judged["expected"],
            "low": judged["expected_low"],
            "high": judged["expected_high"],
            "truth of expected": metrics["demo"]["true"]["feedrank"],
            "headline": metrics["headline"],
            "severe": metrics["severe"],
            "shown a week": len(np.unique(np.concatenate(lists))) / len(published),
            "never shown": float(np.mean(self.shown.impressions[published] == 0)),
            "refused": refused,
        }

    def _best(self, begins: int, sessions: list[Session]) -> dict[str, np.ndarray]:
        """Lists of the artifacts that are compared, by the name of each."""
        world, artifact = self._product.world, Artifact.load(self._product.artifact)
        self._first = self._first or artifact
        return {
            "ours": lists_of(world, artifact, sessions),
            "explored": lists_of(world, artifact, sessions, explores=True),
            "on a random feed": of_random_feed(world, begins, self._params, sessions),
            "first": lists_of(world, self._first, sessions),
        }


def _line(row: dict[str, Any]) -> str:
    """Some numbers of a week, or their names."""
    cells = (row[name] for name in COLUMNS)
    line = "  ".join(f"{c:>16.4f}" if isinstance(c, float) else f"{c!s:>16}" for c in cells)
    return line + (f"  not deployed: {row['refused']}" if row.get("refused") else "")


def main() -> None:
    """Run the weeks and write their numbers."""
    given = _arguments()
    logging.getLogger("feedrank").setLevel(logging.WARNING)
    one_thread_of_algebra()
    params = load_params()
    days = given.warm_days + 7 * given.weeks
    size = {"users": given.users, "posts": given.posts, "days": days}
    demo = replace(params.demo, kind="course", seed=given.seed, **size)
    params = replace(params, demo=demo)
    world = World.simulate(demo, given.warm_days, given.changes)
    settings = {
        "validate": {"folds": 1, "test_days": 7},
        "source": {"exposures": "exposures", "exposure_window": "3h"},
        "export": {"explore": given.explore},
    }
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        product = stack.enter_context(Product.opened(Path(scratch) / "product", world, settings))
        loop = Loop(product, stack, params)
        print(_line({name: name for name in COLUMNS}))
        for week in range(given.weeks):
            found.append(loop.play(week))
            print(_line(found[-1]), flush=True)
    better, others = (loop.shown.found_after[world.withheld[i::2]].tolist() for i in (0, 1))
    result = {"arguments": vars(given) | {"out": None}, "weeks": found, "days until found": {
        "good": better, "others": others}}  # fmt: skip
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    draw([result], given.out.with_suffix(".svg"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    sizes = (("users", 1500), ("posts", 1200), ("warm-days", 42), ("weeks", 8), ("seed", 20))
    for name, value in sizes:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--explore", type=float, default=0.05)
    parser.add_argument("--changes", action="store_true", help="new posts, then new tastes")
    parser.add_argument("--out", type=Path, default=Path("data/loop/loop.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
