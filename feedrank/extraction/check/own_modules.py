"""Own modules: those that `params.yaml` names are looked for before any work, and none is run."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from feedrank.errors import ParamsError
from feedrank.params import Params


def check_own_modules(params: Params, folder: Path = Path("plugins")) -> None:
    """Raise `ParamsError` where an own module that a key names, or its class, is not there."""
    named = {
        ("features.plugins", "features"): [(name, "") for name in params.features.plugins],
        ("validate.baselines", "baselines"): _own(params.validate.baselines),
        ("train.ranker", "rankers"): _own([params.train.ranker]),
    }
    for (key, kind), pairs in named.items():
        for name, of_class in pairs:
            _check_module(key, name, folder / kind / f"{name}.py", of_class)


def _own(words: Sequence[str]) -> list[tuple[str, str]]:
    """Module and class of each word that is one of ours."""
    parts = (word.partition(":") for word in words if ":" in word)
    return [(module, of_class) for module, _, of_class in parts]


def _check_module(key: str, name: str, path: Path, of_class: str) -> None:
    if not path.is_file():
        raise ParamsError(f"'{key}' names '{name}', but there is no '{path}'.")
    try:
        made = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ParamsError(f"'{path}' is not Python: {error}.") from error
    classes = {node.name for node in ast.walk(made) if isinstance(node, ast.ClassDef)}
    if of_class and of_class not in classes:
        raise ParamsError(f"'{key}' names '{name}:{of_class}', but '{path}' has {sorted(classes)}.")
