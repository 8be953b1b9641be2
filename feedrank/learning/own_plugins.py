"""Own features: modules of the folder `plugins/features`, checked, with their columns of posts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from feedrank.errors import ParamsError, SchemaError
from feedrank.schema import POST_ID, TEXT, TOPIC
from feedrank.state.plugins.plugin import Plugin, Posts, read_plugin
from feedrank.state.plugins.plugins import Plugins

PLUGINS = Path("plugins/features")
DECLARED = ("POSTS", "COUNTS", "USER_COUNTS", "FEATURES")
# Parts of users' counts at most: a table of a user and all parts is made in each request, and one
# of as many cells as there are posts is made anyway.
LEAST_PARTS, PARTS_A_POST = 1_000, 2
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
    columns = (posts[name].tolist() for name in (POST_ID, TEXT, TOPIC))
    try:
        found = Plugins.of(modules, Posts(*columns))
        _check(found, len(posts))
        return found
    except SchemaError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise SchemaError(f"a plugin of {[*names]} fails ({kind}: {error}).") from error


def _check(plugins: Plugins, n_posts: int) -> None:
    """Raise `SchemaError` for a module without declarations, or parts that cannot be counted by."""
    for module in plugins.modules:
        if not any((module.posts, module.counts, module.user_counts, module.features)):
            raise SchemaError(f"plugin '{module.name}' declares none of {DECLARED}.")
        if odd := [f for f in module.features if not hasattr(f, "read")]:
            raise SchemaError(f"FEATURES of plugin '{module.name}' holds {odd}: no Feature.")
    most = max(LEAST_PARTS, PARTS_A_POST * n_posts)
    for name in (name for module in plugins.modules for name in module.user_counts):
        part = plugins.columns.get(name)
        if part is None:
            raise SchemaError(f"USER_COUNTS names '{name}', which no plugin has among its POSTS.")
        if not ((part >= 0) & (part == part.round()) & (part < most)).all():
            raise SchemaError(
                f"USER_COUNTS goes by '{name}', whose values are {part.min():g} to {part.max():g}. "
                f"Number them from 0 on, whole and below {most:,}."
            )


def _read(path: Path) -> Plugin:
    plugin = read_plugin(path, "features.plugins")
    try:
        foreign = sorted(set(_imports(plugin.source)) - PROVIDED)
    except SyntaxError as error:
        raise ParamsError(f"'{path}' is not Python: {error}.") from error
    if foreign:
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
