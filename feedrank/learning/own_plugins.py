"""Own features: modules of the folder `plugins/features`, checked, with their columns of posts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from feedrank.errors import ParamsError, SchemaError
from feedrank.schema import POST_ID, TEXT, TOPIC
from feedrank.state.plugins.own_code import calling
from feedrank.state.plugins.plugin import Count, Plugin, Posts, read_plugin
from feedrank.state.plugins.plugins import Plugins

PLUGINS = Path("plugins/features")
DECLARED = ("POSTS", "COUNTS", "USER_COUNTS", "FEATURES")
# Parts of users' counts at most: a table of a user and all parts is made in each request, and one
# of as many cells as there are posts is made anyway.
LEAST_PARTS, PARTS_A_POST = 1_000, 2
NO_NAME = set("[]<")  # characters of no feature's name in XGBoost
# What is there wherever an artifact is served, in the course's environment too.
PROVIDED = {"numpy", "feedrank", *sys.stdlib_module_names}


def own_plugins(names: Sequence[str], posts: pd.DataFrame, folder: Path = PLUGINS) -> Plugins:
    """Plugins by name, with their columns of all posts.

    Raises:
        ParamsError: there is no such module, or it imports more than numpy, feedrank and Python's
            own library.
        SchemaError: it fails, or what it makes cannot be used.
    """
    modules = [_read(folder / f"{name}.py") for name in names]
    for module in modules:
        with calling(f"plugin '{module.name}'", module.name):
            _check_declared(module)
    found = Plugins.of(modules, Posts(*(posts[name].tolist() for name in (POST_ID, TEXT, TOPIC))))
    _check_parts(found, len(posts))
    return found


def _check_declared(module: Plugin) -> None:
    """Raise `SchemaError` for a module without declarations, or what is no count or feature."""
    if not any((module.posts, module.counts, module.user_counts, module.features)):
        raise SchemaError(f"plugin '{module.name}' declares none of {DECLARED}.")
    for name, count in module.counts.items():
        what = f"count '{name}' of plugin '{module.name}'"
        if not isinstance(count, Count) or not callable(count.key):
            raise SchemaError(f"{what} is no Count of a function and a number.")
        if type(count.n_keys) is not int or count.n_keys < 1:
            raise SchemaError(
                f"{what} has 'n_keys' {count.n_keys!r}. Write a whole number from 1 on."
            )
    for feature in module.features:
        if not all(hasattr(feature, name) for name in ("name", "read", "words", "weight")):
            raise SchemaError(f"FEATURES of plugin '{module.name}' holds {feature!r}: no Feature.")
        if fault := next(_faults(feature), None):
            raise SchemaError(f"feature {feature.name!r} of plugin '{module.name}' {fault}.")


def _faults(feature: Any) -> Iterator[str]:
    """What a feature declares wrongly, and what to write."""
    if not isinstance(feature.name, str) or not feature.name or set(feature.name) & NO_NAME:
        yield f"has no name that trees take. Write a text without any of {sorted(NO_NAME)}"
    if not callable(feature.read):
        yield f"reads by {feature.read!r}. Write a function of a question"
    if not isinstance(feature.words, str):
        yield f"has the words {feature.words!r}. Write a text"
    if feature.weight not in (None, 0, 1):
        yield f"has the weight {feature.weight!r}. Write 0, 1 or None"
    if not isinstance(feature.group, str):
        yield f"has the group {feature.group!r}. Write a text"


def _check_parts(plugins: Plugins, n_posts: int) -> None:
    """Raise `SchemaError` for columns that users' impressions cannot be counted by."""
    most = max(LEAST_PARTS, PARTS_A_POST * n_posts)
    for module, name in ((m.name, name) for m in plugins.modules for name in m.user_counts):
        whose = f"USER_COUNTS of plugin '{module}'"
        part = plugins.columns.get(name)
        if part is None:
            raise SchemaError(f"{whose} names '{name}', which no plugin has among its POSTS.")
        if not ((part >= 0) & (part == part.round()) & (part < most)).all():
            raise SchemaError(
                f"{whose} goes by '{name}', whose values are {part.min():g} to {part.max():g}. "
                f"Number them from 0 on, whole and below {most:,}."
            )


def _read(path: Path) -> Plugin:
    plugin = read_plugin(path, "features.plugins")
    if foreign := sorted(set(_imports(plugin.source)) - PROVIDED):
        raise ParamsError(
            f"'{path}' imports {foreign}. A plugin is served with numpy, feedrank and Python's own "
            "library alone; compute the rest before, into a column of the posts table."
        )
    return plugin


def _imports(source: str) -> Iterator[str]:
    """Top packages that a module imports."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        yield from (name.split(".")[0] for name in names)
