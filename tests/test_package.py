"""The package: one version, one list of pins, and a wheel that holds what it needs."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import feedrank

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = (ROOT / "constraints.txt").read_text().splitlines()
LISTS = [*ROOT.glob("requirements*.txt"), ROOT / "deploy" / "requirements.txt"]
OTHERS = {
    "pyspark",
    "py4j",
    "implicit",
    "lightgbm",
    "optuna",
    "torch",
}  # requirements-{spark,extra,search,neural}.txt


def _pins(lines: list[str]) -> dict[str, str]:
    pinned = [line.split(";")[0].strip().split("==") for line in lines if "==" in line]
    return {_normal(name): version for name, version in pinned}


def _normal(name: str) -> str:
    return re.sub("[_.]", "-", name.lower())


def _imported() -> set[str]:
    """Top-level names of other packages that the library, the service or a stage imports."""
    found: set[str] = set()
    for package in ("feedrank", "service", "stages"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found.update(alias.name for alias in node.names)
                if isinstance(node, ast.ImportFrom):
                    found.add(str(node.module))
    ours = {"feedrank", "service", "stages"}
    return {name.split(".")[0] for name in found} - sys.stdlib_module_names - ours


def test_every_package_that_is_imported_is_pinned() -> None:
    pinned = _pins((ROOT / "requirements.txt").read_text().splitlines())
    distributions = packages_distributions()
    missing = {
        name
        for name in _imported() - OTHERS
        if not {_normal(d) for d in distributions.get(name, [name])} & {*pinned}
    }
    assert missing == set()


@pytest.mark.parametrize("path", LISTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_list_pins_what_the_constraints_pin(path: Path) -> None:
    constraints = _pins(CONSTRAINTS)
    pins = _pins(path.read_text().splitlines())
    assert {n: v for n, v in pins.items() if constraints.get(n) != v} == {}


def test_pre_commit_runs_what_lint_runs() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [re.sub(r"\.venv/bin/| --force-exclude", "", hook["entry"]) for hook in hooks]
    assert entries == [line.strip().removesuffix(" .") for line in recipe.splitlines()[1:]]


def test_the_build_backend_is_pinned_as_the_constraints_pin_it() -> None:
    (backend,) = PROJECT["build-system"]["requires"]
    assert backend in CONSTRAINTS


def test_the_package_is_imported_from_anywhere(tmp_path: Path) -> None:
    words = f"import sys; sys.path.append({str(ROOT)!r}); import feedrank, service.app"
    subprocess.run([sys.executable, "-c", words], cwd=tmp_path, check=True)


def test_a_type_checker_of_others_sees_what_the_package_gives() -> None:
    stub = ast.parse((ROOT / "feedrank" / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert [alias.name for node in imports for alias in node.names] == ["load", "read_log"]
    for node in imports:
        module = importlib.import_module(str(node.module))
        for alias in node.names:
            assert getattr(feedrank, alias.name) is getattr(module, alias.name)
    assert (ROOT / "feedrank" / "py.typed").exists()


def test_the_changelog_begins_with_the_version_or_what_comes_next() -> None:
    newest = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
    assert newest in (feedrank.__version__, "Unreleased")


@pytest.mark.parametrize("package", ["feedrank", "service"])
def test_the_wheel_holds_every_file_beside_the_code(package: str) -> None:
    globs = PROJECT["tool"]["setuptools"]["package-data"][package]
    held = {path for pattern in globs for path in (ROOT / package).glob(pattern)}
    listed = subprocess.run(["git", "ls-files", package], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()  # fmt: skip
    assert {p for p in listed if not p.endswith(".py") and ROOT / p not in held} == set()


def test_an_install_that_fails_is_no_install(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in *requirements.txt*) exit 1;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(["make", ".venv/.runtime"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert not (tmp_path / ".venv" / ".runtime").exists()
