"""Plugin: own features, an own ranker or own baselines of a network, as one module's source."""

from __future__ import annotations

import ast
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple

import numpy as np

from feedrank.errors import ParamsError, SchemaError
from feedrank.io.arrays import Place
from feedrank.state.plugins.own_code import calling, file_of

MODULES = "plugin_"  # begins the names under which own modules run


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


@dataclass(frozen=True)
class OwnCount:
    """A plugin's `Count`, by its name.

    Attributes:
        plugin: name of the module.
        name: in its COUNTS.
        count: what it declares.
    """

    plugin: str
    name: str
    count: Count

    @property
    def n_keys(self) -> int:
        """Keys are below it."""
        return self.count.n_keys

    def keys(self, pairs: Any) -> np.ndarray:
        """Keys of pairs, int64; raises `SchemaError` for one out of range, or other shapes."""
        what = f"count '{self.name}' of plugin '{self.plugin}'"
        with calling(what, self.plugin):
            found = np.asarray(self.count.key(pairs)).astype(np.int64)
        shapes = (pairs.user.shape, pairs.post.shape)
        if found.shape not in (*shapes, np.broadcast_shapes(*shapes)):
            raise SchemaError(
                f"{what} has keys of shape {found.shape} for pairs of shape "
                f"{np.broadcast_shapes(*shapes)}. Return one whole number a pair."
            )
        low, high = found.min(initial=0), found.max(initial=0)
        if low < 0 or high >= self.n_keys:
            raise SchemaError(
                f"{what} has keys from {low} to {high}, and its 'n_keys' is {self.n_keys}. "
                "Keep its keys within 0 to n_keys - 1."
            )
        return found


@dataclass(frozen=True)
class Plugin:
    """A module of own code.

    One of own features declares up to four names: its POSTS make columns of the posts (by name,
    `Posts` -> a number each), its COUNTS are `Count` by name, its USER_COUNTS name columns of whole
    numbers by which each user's own impressions are counted, and its FEATURES are those of the
    matrix, which read all of these from a question. Others hold classes.

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
        """Features of the matrix (`feedrank.features.feature.Feature`), in order."""
        return tuple(getattr(self.module, "FEATURES", ()))

    @property
    def module(self) -> ModuleType:
        """The module, run once a process; equal sources are one module."""
        name = f"{MODULES}{self.name}_{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)  # at once, since dataclasses look there
            try:
                exec(compile(self.source, file_of(self.name), "exec"), vars(sys.modules[name]))
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]

    def class_of(self, name: str, base: type[Any]) -> Any:
        """A class of the module, by name.

        Raises:
            ParamsError: there is none of this kind, or it lacks a method.
            SchemaError: the module fails.
        """
        with calling(f"plugin '{self.name}'", self.name):
            found = getattr(self.module, name, None)
        if not (isinstance(found, type) and issubclass(found, base)):
            raise ParamsError(
                f"'{file_of(self.name)}' holds no class '{name}' of kind '{base.__name__}'."
            )
        if lacking := sorted(getattr(found, "__abstractmethods__", ())):
            raise ParamsError(
                f"class '{name}' of '{file_of(self.name)}' lacks {lacking}. Write what "
                f"'{base.__name__}' asks for."
            )
        return found

    @classmethod
    def load(cls, place: Place, name: str) -> Plugin:
        """A plugin that lies beside a feature store."""
        return cls(name, (place / stored_file(name)).read_bytes().decode())


def read_plugin(path: Path, key: str) -> Plugin:
    """A plugin's file, which a key of `params.yaml` names.

    Raises:
        ParamsError: there is none, it is not Python, or it imports a neighbour.
    """
    if not path.is_file():
        raise ParamsError(f"'{key}' names '{path.stem}', but there is no '{path}'.")
    try:
        source = path.read_text(encoding="utf-8")
        nodes = [*ast.walk(ast.parse(source, str(path)))]
    except (SyntaxError, ValueError) as error:
        raise ParamsError(f"'{path}' is not Python: {error}.") from error
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ParamsError(
                f"'{path}' imports a neighbour, by '{ast.get_source_segment(source, node)}'. A "
                "module is one file: copy what it needs into it."
            )
    return Plugin(path.stem, source)


def stored_file(name: str) -> str:
    """File of a plugin's source in a feature store."""
    return f"plugin_{name}.py"
