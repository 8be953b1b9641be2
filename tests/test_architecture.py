"""Imports point inward, and `dvc.yaml` names every module that a stage runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("feedrank", "stages", "service")
SERVING = (
    "feedrank.ranking.recommender",
    "feedrank.artifact.artifact",
    "feedrank.state.feature_store",
    "feedrank.checker.model",
)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for p in PACKAGES for path in (ROOT / p).rglob("*.py")}
WAYS_IN = ("service.app", "feedrank.artifact.notebook")  # what servers and notebooks load by name
STAGES = [name for name in MODULES if name.startswith("stages.") and name != "stages.run"]


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules of the project that one imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"'{module}' imports relatively"
            found.add(str(node.module))
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name in MODULES)


@cache
def _all_imports(module: str) -> frozenset[str]:
    """Modules of the project that run when one is imported, itself and its packages included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in MODULES:
            continue
        found.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:i]) for i in range(1, len(parts))]
        waiting += _imports(name)
    return frozenset(found)


def _of(package: str) -> list[str]:
    return [name for name in MODULES if name == package or name.startswith(f"{package}.")]


def test_the_modules_are_found() -> None:
    assert len(_of("feedrank")) > 20
    assert {"stages.features", "stages.train", "stages.export"} <= set(STAGES)
    assert "feedrank.learning.fit" in _imports("stages.features")
    assert "feedrank.state.counts.by_step" in _all_imports("stages.features")


@pytest.mark.parametrize("module", _of("feedrank"))
def test_the_library_imports_neither_stages_nor_service(module: str) -> None:
    assert {name.split(".")[0] for name in _imports(module)} <= {"feedrank"}


@pytest.mark.parametrize("module", _of("service"))
def test_the_service_imports_no_stage(module: str) -> None:
    assert {name.split(".")[0] for name in _imports(module)} <= {"feedrank", "service"}


@pytest.mark.parametrize("module", _of("stages"))
def test_a_stage_imports_no_other_and_no_service(module: str) -> None:
    others = {name for name in _imports(module) if not name.startswith("feedrank")}
    assert others <= {"stages.run", "stages"}


@pytest.mark.parametrize("module", SERVING)
def test_what_serves_knows_neither_the_demo_nor_validation(module: str) -> None:
    for name in _all_imports(module):
        assert not name.startswith(("feedrank.demo", "feedrank.validation", "feedrank.extraction"))


@pytest.mark.parametrize("module", ["feedrank.learning.fit", "feedrank.ranking.rankers.by_name",
"stages.features",
                                    "stages.train", "stages.export"])  # fmt: skip
def test_what_learns_never_sees_the_demo_s_truth(module: str) -> None:
    for name in _all_imports(module):
        assert not name.startswith("feedrank.demo")
    for stage in ("features", "train", "export"):
        assert not [d for d in _deps(stage) if d.startswith(("data/truth", "data/demo"))]


@pytest.mark.parametrize("module", _of("feedrank.validation"))
def test_validation_does_not_know_the_demo(module: str) -> None:
    for name in _all_imports(module):
        assert not name.startswith("feedrank.demo")


def _reached(module: str) -> set[str]:
    """Modules that one comes to by imports, however many."""
    found: set[str] = set()
    waiting = list(_imports(module))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


def _package(module: str) -> str:
    """The package of the library that a module lies in; its own name for `feedrank.params` etc."""
    return ".".join(module.split(".")[:2])


def test_packages_of_the_library_import_one_way() -> None:
    of_package: dict[str, set[str]] = {}
    for module in _of("feedrank"):
        imported = {_package(name) for name in _imports(module) if name.startswith("feedrank.")}
        of_package.setdefault(_package(module), set()).update(imported - {_package(module)})
    TopologicalSorter(of_package).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", ["feedrank", "service", "benchmarks", "tests"])
def test_no_folder_holds_more_than_nine_modules(package: str) -> None:
    for folder in [ROOT / package, *(ROOT / package).rglob("*/")]:
        modules = [m for m in folder.glob("*.py") if m.name not in ("__init__.py", "conftest.py")]
        assert len(modules) <= 9, f"'{folder}' holds {len(modules)} modules"


def test_the_library_has_few_entries() -> None:
    hidden = ("__pycache__", ".DS_Store", "py.typed", "__init__.pyi")
    assert len([p for p in (ROOT / "feedrank").iterdir() if p.name not in hidden]) <= 24


def test_tests_import_no_benchmark() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if "benchmarks" in path.read_text()]
    assert [p.name for p in tests if _names_benchmarks(p)] == []


def _names_benchmarks(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_text()))
    return any(
        isinstance(n, ast.ImportFrom) and str(n.module).startswith("benchmarks") for n in nodes
    )


def test_no_module_comes_back_to_itself() -> None:
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert [m for m in MODULES if m not in packages and m in _reached(m)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_used_or_run(module: str) -> None:
    is_run = "__main__" in MODULES[module].read_text() or module in WAYS_IN
    users = [other for other in MODULES if other != module and module in _all_imports(other)]
    measures = any(module in path.read_text() for path in (ROOT / "benchmarks").rglob("*.py"))
    assert users or is_run or measures or module in PACKAGES, f"nothing imports '{module}'"


@cache
def _pipeline() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "dvc.yaml").read_text()))


def _deps(stage: str) -> list[str]:
    deps = _pipeline()["stages"][stage]["deps"]
    return [dep if isinstance(dep, str) else next(iter(dep)) for dep in deps]


def test_every_stage_is_a_module_and_every_module_a_stage() -> None:
    stages = _pipeline()["stages"]
    assert {f"stages.{name}" for name in stages} == set(STAGES)
    for name, stage in stages.items():
        assert stage["cmd"] == f"python -m stages.{name}"


def _says_something(path: Path) -> bool:
    """Whether a module holds more than a docstring, the version and the notebook's way in."""
    if path == ROOT / "feedrank" / "__init__.py":
        return False
    body = ast.parse(path.read_text()).body[1:]
    return not all(
        isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__version__" for n in body
    )


@pytest.mark.parametrize("stage", sorted(name.split(".")[1] for name in STAGES))
def test_a_stage_depends_on_every_module_that_it_runs(stage: str) -> None:
    deps = [ROOT / dep for dep in _deps(stage)]
    runs = [MODULES[name] for name in _all_imports(f"stages.{stage}")]
    missing = [
        str(path.relative_to(ROOT))
        for path in sorted(runs)
        if _says_something(path) and not any(path == d or d in path.parents for d in deps)
    ]
    assert missing == []


@pytest.mark.parametrize("stage", sorted(name.split(".")[1] for name in STAGES))
def test_a_stage_depends_on_no_code_that_it_does_not_run(stage: str) -> None:
    runs = {MODULES[name] for name in _all_imports(f"stages.{stage}")}
    for dep in _deps(stage):
        path = ROOT / dep
        if dep.startswith(PACKAGES):
            assert path.exists(), f"'{dep}' is not there"
            assert [p for p in runs if p == path or path in p.parents], f"'{dep}' is not run"


def test_what_a_stage_reads_is_written_before_it_or_is_code() -> None:
    written = {"requirements.txt", "constraints.txt", "params.yaml"}
    written |= {"plugins/features", "plugins/baselines", "plugins/rankers"}
    for name, stage in _pipeline()["stages"].items():
        for dep in _deps(name):
            assert dep in written or dep.startswith(PACKAGES), f"'{name}' reads '{dep}'"
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                written.add(out if isinstance(out, str) else next(iter(out)))


def test_a_stage_names_only_parameters_that_exist() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for stage in _pipeline()["stages"].values():
        for name in stage.get("params", []):
            group, _, key = name.partition(".")
            assert group in params
            assert not key or key in params[group]


def _imported(module: str) -> set[str]:
    """All that a module imports by name, wherever it is from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_only_the_spark_engine_imports_spark(module: str) -> None:
    foreign = [n for n in _imported(module) if n.startswith(("pyspark", "py4j", "xgboost.spark"))]
    on_spark = module.startswith(("feedrank.engines.spark.", "feedrank.training.on_spark"))
    assert on_spark or foreign == []


@pytest.mark.parametrize("module", MODULES)
def test_every_pass_goes_through_the_engine(module: str) -> None:
    assert (
        module == "feedrank.engines.engine"
        or "feedrank.engines.processes.map_parts" not in _imported(module)
    )


LEARNS = {"xgboost", "scipy", "sklearn", "feedrank.demo.fill"}
FOR_TABLES = {"pandas", "pyarrow", "sqlalchemy", "psycopg2"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        *((m, LEARNS) for m in ("service.follower.__main__", "stages.source", "stages.extract")),
        ("service.__main__", LEARNS | FOR_TABLES | {"numpy"}),
        ("service.app", {"xgboost", "sklearn", "scipy.stats", "scipy.optimize"} | FOR_TABLES),
    ],
)
def test_a_process_loads_no_library_that_it_does_without(module: str, heavy: set[str]) -> None:
    check = f"import sys, {module}; sys.exit(bool({heavy!r} & {{*sys.modules}}))"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_no_stage_loads_spark_on_one_machine() -> None:
    modules = ", ".join(sorted([*STAGES, "service.app"]))
    check = f"import sys, {modules}; sys.exit('pyspark' in sys.modules or 'py4j' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)
