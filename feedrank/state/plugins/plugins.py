"""Plugins of a feature store, and their columns of its posts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from feedrank.errors import SchemaError
from feedrank.io.arrays import Place, read_array
from feedrank.state.plugins.own_code import calling
from feedrank.state.plugins.plugin import OwnCount, Plugin, Posts, stored_file

LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Plugins:
    """Modules of own features.

    Attributes:
        modules: in the order of `features.plugins`.
        columns: of the posts by name, float64, shape (n_posts,) each.
    """

    modules: tuple[Plugin, ...]
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, modules: Sequence[Plugin], posts: Posts) -> Plugins:
        """Plugins with their columns of all posts; raises `SchemaError` for a name given twice."""
        for kind in ("posts", "counts"):
            declared: dict[str, str] = {}
            for module in modules:
                for name in getattr(module, kind):
                    if name in declared:
                        raise SchemaError(
                            f"plugins '{declared[name]}' and '{module.name}' both declare "
                            f"'{name}' among their {kind.upper()}. Rename one."
                        )
                    declared[name] = module.name
        return cls(tuple(modules), _columns(modules, posts))

    @property
    def features(self) -> tuple[Any, ...]:
        """Features of all modules (`feedrank.features.feature.Feature`), their values checked."""
        return tuple(
            replace(feature, read=partial(_read, module.name, feature))
            for module in self.modules
            for feature in module.features
        )

    @property
    def counts(self) -> dict[str, OwnCount]:
        """Counts of all modules, by name."""
        return {
            name: OwnCount(module.name, name, count)
            for module in self.modules
            for name, count in module.counts.items()
        }

    @cached_property
    def parts(self) -> dict[str, tuple[np.ndarray, int]]:
        """Part of each post and number of parts, by the column that users' counts go by."""
        names = [name for module in self.modules for name in module.user_counts]
        columns = {name: self.columns[name].astype(np.int64) for name in names}
        return {name: (part, int(part.max(initial=0)) + 1) for name, part in columns.items()}

    def with_posts(self, posts: Posts) -> Plugins:
        """With further posts at the end."""
        more = _columns(self.modules, posts)
        columns = {n: np.concatenate([c, more[n]]) for n, c in self.columns.items()}
        return replace(self, columns=columns)

    def about(self) -> dict[str, Any]:
        """Names of modules and columns, and sizes of the counts, for a JSON file."""
        return {
            "modules": [module.name for module in self.modules],
            "columns": list(self.columns),
            "n_keys": [count.n_keys for count in self.counts.values()],
        }

    def save(self, directory: Path) -> None:
        """Write the modules' sources and `fitted_own_*.npy`."""
        for module in self.modules:
            (directory / stored_file(module.name)).write_bytes(module.source.encode())
        for number, column in enumerate(self.columns.values()):
            np.save(directory / f"fitted_own_{number}.npy", column)

    @classmethod
    def load(cls, place: Place, about: dict[str, Any]) -> Plugins:
        """Plugins that `save` wrote; raises `ValueError` if they are not those of `about`."""
        modules = tuple(Plugin.load(place, name) for name in about["modules"])
        columns = {
            name: np.array(read_array(place / f"fitted_own_{number}.npy"))
            for number, name in enumerate(about["columns"])
        }
        found = cls(modules, columns)
        if found.about() != about:
            raise ValueError(f"plugins declare {found.about()}, and {about} was stored")
        return found


def _columns(modules: Sequence[Plugin], posts: Posts) -> dict[str, np.ndarray]:
    """Columns of the posts by name; raises `SchemaError` for one that is no number a post."""
    columns = {}
    for module in modules:
        for name, make in module.posts.items():
            what = f"column '{name}' of plugin '{module.name}'"
            with calling(what, module.name):
                column = np.asarray(make(posts), dtype=np.float64)
            if column.shape != (len(posts.id),) or not np.isfinite(column).all():
                raise SchemaError(
                    f"{what} has shape {column.shape} or holds no number somewhere. Return one "
                    f"finite number for each of {len(posts.id)} posts."
                )
            columns[name] = column
    return columns


def _read(plugin: str, feature: Any, question: Any) -> np.ndarray:
    """Values of a feature for a question; raises `SchemaError` for what no ranker can read."""
    what = f"feature '{feature.name}' of plugin '{plugin}'"
    shape = np.broadcast_shapes(question.user.shape, question.post.shape)
    with calling(what, plugin):
        found = np.asarray(feature.read(question))
    try:
        fits = np.broadcast_shapes(found.shape, shape) == shape and found.dtype.kind in "biuf"
    except ValueError:
        fits = False
    if not fits:
        raise SchemaError(
            f"{what} returns {found.dtype} of shape {found.shape} for pairs of shape {shape}. "
            "Return one number a pair, or one for all."
        )
    # Of float32, which the matrix holds: what is beyond it would be infinite there.
    is_wrong = ~(np.abs(found) <= LARGEST)
    if feature.weight is None:
        is_wrong &= ~np.isnan(found)
    if is_wrong.any():
        n_wrong, n = np.broadcast_to(is_wrong, shape).sum(), math.prod(shape)
        raise SchemaError(
            f"{what} is no finite number in {n_wrong:,} of {n:,} pairs, and its weight is "
            f"{feature.weight}. Fill them; only with the weight None it may be NaN."
        )
    return found
