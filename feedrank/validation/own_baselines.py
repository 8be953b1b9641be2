"""Own baselines: classes of the folder `plugins/baselines`, as of each request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.errors import ParamsError
from feedrank.features.rows import TrainingRows
from feedrank.state.counts.tally import Tally
from feedrank.state.feature_store import FeatureStore
from feedrank.state.plugins.plugin import read_plugin
from feedrank.state.shared import SharedState
from feedrank.validation.baselines.baseline import Stepped

PLUGINS = Path("plugins/baselines")


class OwnBaseline(Stepped):
    """A baseline to be subclassed: `score` is all that it needs.

    Args:
        store: of the log, which a subclass reads by the methods below only.
        learned: what `fit` returned before the cutoff.
        as_of: seconds since the log's origin at which the state is frozen; None: it is fresh.
    """

    def __init__(self, store: FeatureStore, learned: Any, as_of: int | None) -> None:
        super().__init__(store, as_of)
        self.learned = learned

    @classmethod
    def fit(cls, rows: TrainingRows) -> Any:
        """Plain values or arrays, learned from the training rows before the cutoff."""
        return None

    @abstractmethod
    def score(self, user: int, at: int, post: np.ndarray) -> np.ndarray:
        """Higher is better, shape (n,), from what was before the step of the moment `at`."""

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


def own_baselines(named: Sequence[str], folder: Path = PLUGINS) -> dict[str, type[OwnBaseline]]:
    """Own baselines among the words of `validate.baselines`, by the name of their module.

    Raises:
        ParamsError: a module is not there, or holds no such subclass of `OwnBaseline`.
    """
    pairs = (word.split(":") for word in named if ":" in word)
    return {module: _read(folder.absolute() / f"{module}.py", name) for module, name in pairs}


@cache
def _read(path: Path, name: str) -> type[OwnBaseline]:
    found = getattr(read_plugin(path, "validate.baselines").module, name, None)
    if not (isinstance(found, type) and issubclass(found, OwnBaseline)):
        raise ParamsError(f"'{path}' holds no class '{name}' that is an 'OwnBaseline'.")
    return found
