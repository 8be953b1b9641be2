"""Own baselines: classes of the folder `plugins/baselines`, as of each request."""

from __future__ import annotations

import io
import pickle
from abc import abstractmethod
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.errors import SchemaError
from feedrank.features.rows import TrainingRows
from feedrank.state.counts.tally import Tally
from feedrank.state.feature_store import FeatureStore
from feedrank.state.plugins.own_code import calling, checked_scores
from feedrank.state.plugins.plugin import MODULES, Plugin, read_plugin
from feedrank.state.shared import SharedState
from feedrank.validation.baselines.baseline import Stepped

PLUGINS = Path("plugins/baselines")


class OwnBaseline(Stepped):
    """A baseline to be subclassed: `score` is all that it needs.

    Args:
        store: of the log, which a subclass reads by the methods below only.
        learned: what `fit` returned before the cutoff.
        as_of: seconds since the log's origin at which the state is frozen; None: it is fresh.

    Attributes:
        name: as in `validate.baselines`.
        plugin: its module.
    """

    name: str
    plugin: Plugin

    def __init__(self, store: FeatureStore, learned: Any, as_of: int | None) -> None:
        super().__init__(store, as_of)
        self.learned = learned

    @classmethod
    def fit(cls, rows: TrainingRows) -> Any:
        """Plain values or arrays, learned from the training rows before the cutoff."""
        return None

    @classmethod
    def learned_from(cls, rows: TrainingRows) -> Any:
        """What `fit` returns; raises `SchemaError` if it fails, or no other process can have it."""
        what = f"'fit' of the baseline '{cls.name}'"
        with calling(what, cls.plugin.name):
            learned = cls.fit(rows)
        try:
            _Elsewhere(io.BytesIO(pickle.dumps(learned))).load()
        except Exception as error:
            raise SchemaError(
                f"{what} returns {type(learned).__name__}, which cannot be copied to other "
                f"processes ({error}). Return plain values and arrays."
            ) from error
        return learned

    @abstractmethod
    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Higher is better, shape (n,), from what was before the step of the moment `at`."""

    def score_many(
        self, users: np.ndarray, at: np.ndarray, posts: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """`score` of several requests; raises `SchemaError` where it is not one number a post."""
        whose, module = f"the baseline '{self.name}'", self.plugin.name
        requests = zip(users.tolist(), at.tolist(), posts, strict=True)
        return [
            checked_scores(whose, module, partial(self.score, user, moment, own), len(own))
            for user, moment, own in requests
        ]

    def state(self, at: int) -> SharedState:
        """Shared state of all posts."""
        return self.store.states.as_of(self.step(at))

    def counts(self, at: int) -> Tally:
        """Impressions and likes of each post, of everybody, shape (n_posts,)."""
        counts = self.store.states.counts_as_of(self.step(at))
        return Tally(counts.shown.sum(0), counts.liked.sum(0))

    def history(self, user: int, at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Post, step and liked of each of the user's impressions."""
        return self.store.history.before(user, self.step(at))


class _Elsewhere(pickle.Unpickler):
    """A reader that knows own modules as little as a process does that has not run them."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(MODULES):
            raise pickle.UnpicklingError(f"'{name}' is of the own module")
        return super().find_class(module, name)


def own_baselines(named: Sequence[str], folder: Path = PLUGINS) -> dict[str, type[OwnBaseline]]:
    """Own baselines among the words of `validate.baselines`, by these words.

    Raises:
        ParamsError: a module is not there, or holds no such subclass of `OwnBaseline`.
        SchemaError: a module fails.
    """
    return {word: _read(folder.absolute(), word) for word in named if ":" in word}


@cache
def _read(folder: Path, word: str) -> type[OwnBaseline]:
    module, _, name = word.partition(":")
    plugin = read_plugin(folder / f"{module}.py", "validate.baselines")
    found: type[OwnBaseline] = plugin.class_of(name, OwnBaseline)
    found.name, found.plugin = word, plugin
    return found
