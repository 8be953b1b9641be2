"""Plugin: own features of a network, as the source of one module."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple

import numpy as np

from feedrank.errors import ParamsError, SchemaError
from feedrank.io.arrays import Place


class Posts(NamedTuple):
    """Posts whose columns a plugin computes, each from its own row alone."""

    id: list[int | str]
    text: list[str]
    topic: list[str]


class Count(NamedTuple):
    """Impressions and likes of everybody, by a key of user, post and moment.

    Attributes:
        key: of `feedrank.state.plugins.pairs.Pairs`, whole numbers from 0 on.
        n_keys: keys are below it.
    """

    key: Callable[[Any], np.ndarray]
    n_keys: int

    def keys(self, pairs: Any) -> np.ndarray:
        """Keys of pairs, int64; raises `SchemaError` for one out of range."""
        found = np.asarray(self.key(pairs)).astype(np.int64)
        low, high = found.min(initial=0), found.max(initial=0)
        if low < 0 or high >= self.n_keys:
            raise SchemaError(
                f"a plugin's count has keys from {low} to {high}, and 'n_keys' is {self.n_keys}. "
                "Keep its keys within 0 to n_keys - 1."
            )
        return found


@dataclass(frozen=True)
class Plugin:
    """A module of own features; any of the four names below may be missing from it.

    Its POSTS make columns of the posts (by name, `Posts` -> a number each), its COUNTS are `Count`
    by name, its USER_COUNTS name columns of whole numbers by which each user's own impressions
    are counted, and its FEATURES are those of the matrix, which read all of these from a question.

    Attributes:
        name: of the module.
        source: its text.
    """

    name: str
    source: str

    @property
    def posts(self) -> dict[str, Callable[[Posts], Any]]:
        """Columns of posts, by name."""
        return dict(getattr(self.module, "POSTS", {}))

    @property
    def counts(self) -> dict[str, Count]:
        """Counts of everybody, by name."""
        return dict(getattr(self.module, "COUNTS", {}))

    @property
    def user_counts(self) -> tuple[str, ...]:
        """Columns of posts by which a user's own impressions are counted."""
        return tuple(getattr(self.module, "USER_COUNTS", ()))

    @property
    def features(self) -> tuple[Any, ...]:
        """Features of the matrix (`feedrank.features.spec.Feature`), in order."""
        return tuple(getattr(self.module, "FEATURES", ()))

    @property
    def module(self) -> ModuleType:
        """The module, run once a process; equal sources are one module."""
        name = f"plugin_{self.name}_{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)  # at once, since dataclasses look there
            try:
                exec(compile(self.source, f"{self.name}.py", "exec"), vars(sys.modules[name]))
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]

    @classmethod
    def load(cls, place: Place, name: str) -> Plugin:
        """A plugin that lies beside a feature store."""
        return cls(name, (place / file_of(name)).read_bytes().decode())


def read_plugin(path: Path, key: str) -> Plugin:
    """A plugin's file, which a key of `params.yaml` names; raises `ParamsError` without one."""
    if not path.exists():
        raise ParamsError(f"'{key}' names '{path.stem}', but there is no '{path}'.")
    return Plugin(path.stem, path.read_text(encoding="utf-8"))


def file_of(name: str) -> str:
    """File of a plugin's source in a feature store."""
    return f"plugin_{name}.py"
