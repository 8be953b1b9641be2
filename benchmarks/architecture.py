"""Figures of the floor plan, as `docs/architecture.md` shows them.

    python -m benchmarks.architecture [FOLDER ...]

A folder is a checkout; more than one are shown side by side, such as one of an earlier revision:
`git worktree add ../before REVISION`.
"""

from __future__ import annotations

import ast
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

PACKAGES = ("feedrank", "service", "stages")


class FloorPlan:
    """Modules of a checkout and the imports between them.

    Attributes:
        modules: names of all modules of feedrank, service and stages.
        imports: of each module, those of the same checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {_name(p, root): p for k in PACKAGES for p in (root / k).rglob("*.py")}
        self.imports = {name: self._imported(path) for name, path in self.modules.items()}

    def _imported(self, path: Path) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                found.update({str(node.module)} | {f"{node.module}.{a.name}" for a in node.names})
        return found & self.modules.keys()

    @cached_property
    def arrows(self) -> set[tuple[str, str]]:
        """Imports between what one sees in `feedrank/`; service and stages are one each."""
        rooms = {(_room(a), _room(b)) for a, imported in self.imports.items() for b in imported}
        return {(a, b) for a, b in rooms if a != b and b != "feedrank"}

    def levels(self) -> int:
        """Floors: entries that import nothing, those that import only them, and so on.

        Entries that import each other in a circle are of one floor.
        """
        next_to = {a: {b for x, b in self.arrows if x == a} for pair in self.arrows for a in pair}
        below = {a: reached(next_to, a) - {a} for a in next_to}

        def level(a: str) -> int:
            return 1 + max((level(b) for b in below[a] if a not in below[b]), default=0)

        return max(level(a) for a in next_to)

    def n_reached(self, module: str) -> int:
        """Modules with code that are imported, directly or not, when one is."""
        found = reached(self.imports, module)
        return len([name for name in found if self.modules[name].name != "__init__.py"])

    def largest_folder(self) -> int:
        """Modules in the folder that holds most."""
        folders = [path.parent for path in self.modules.values() if path.name != "__init__.py"]
        return max(folders.count(folder) for folder in set(folders))

    def n_lines(self) -> int:
        """Lines of Python."""
        return sum(len(path.read_text().splitlines()) for path in self.modules.values())

    def n_code_dependencies(self) -> int:
        """Lines of `dvc.yaml` that name code."""
        stages: dict[str, Any] = yaml.safe_load((self.root / "dvc.yaml").read_text())["stages"]
        return sum(str(dep).startswith(PACKAGES) for s in stages.values() for dep in s["deps"])

    def figures(self) -> dict[str, int]:
        """All figures by what they count."""
        entries = [p for p in (self.root / "feedrank").iterdir() if p.name[0] not in "._"]
        return {
            "entries of `feedrank/`": len(entries),
            "modules in the largest folder": self.largest_folder(),
            "levels of imports between entries": self.levels(),
            "arrows between entries": len(self.arrows),
            "modules that a request imports": self.n_reached("service.app"),
            "modules that the stage `features` imports": self.n_reached("stages.features"),
            "modules that the stage `validate` imports": self.n_reached("stages.validate"),
            "lines of Python": self.n_lines(),
            "code dependencies in `dvc.yaml`": self.n_code_dependencies(),
        }


def reached(next_to: dict[str, set[str]], start: str) -> set[str]:
    """What one comes to from a start, itself included."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += next_to[name]
    return found


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    return ".".join(module.split(".")[: 2 if module.startswith("feedrank.") else 1])


def main() -> None:
    folders = [Path(word) for word in sys.argv[1:]] or [Path()]
    columns = [FloorPlan(folder).figures() for folder in folders]
    print(f"| | {' | '.join(str(folder.resolve().name) for folder in folders)} |")
    print("| --- " * (len(folders) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(f'{figures[name]:,}' for figures in columns)} |")


if __name__ == "__main__":
    main()
