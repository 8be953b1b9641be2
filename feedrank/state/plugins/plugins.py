"""Plugins of a feature store, and their columns of its posts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from feedrank.errors import SchemaError
from feedrank.io.arrays import Place, read_array
from feedrank.state.plugins.plugin import Count, Plugin, Posts, file_of


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
            names = [name for module in modules for name in getattr(module, kind)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise SchemaError(f"two plugins declare {twice} among their {kind}. Rename one.")
        return cls(tuple(modules), _columns(modules, posts))

    @property
    def features(self) -> tuple[Any, ...]:
        """Features of all modules (`feedrank.features.spec.Feature`)."""
        return tuple(f for module in self.modules for f in module.features)

    @property
    def counts(self) -> dict[str, Count]:
        """Counts of all modules, by name."""
        return {name: c for module in self.modules for name, c in module.counts.items()}

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
            (directory / file_of(module.name)).write_bytes(module.source.encode())
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


NO_PLUGINS = Plugins((), {})


def _columns(modules: Sequence[Plugin], posts: Posts) -> dict[str, np.ndarray]:
    made = {name: make for module in modules for name, make in module.posts.items()}
    columns = {name: np.asarray(make(posts), dtype=np.float64) for name, make in made.items()}
    for name, column in columns.items():
        if column.shape != (len(posts.id),) or not np.isfinite(column).all():
            raise SchemaError(
                f"a plugin's column '{name}' of the posts has shape {column.shape} or holds no "
                f"number somewhere. Return one finite number for each of {len(posts.id)} posts."
            )
    return columns
