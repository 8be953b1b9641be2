"""Own modules and classes are found missing before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from feedrank.errors import ParamsError
from feedrank.extraction.check.own_modules import check_own_modules
from feedrank.params import parse_params
from tests.conftest import ROOT


@pytest.fixture
def groups() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return found


@pytest.mark.parametrize(
    ("group", "key", "value", "file"),
    [
        ("features", "plugins", ["reading", "nowhere"], "features/nowhere.py"),
        ("validate", "baselines", ["usual", "nowhere:Nothing"], "baselines/nowhere.py"),
        ("train", "ranker", "nowhere:Nothing", "rankers/nowhere.py"),
    ],
)
def test_own_modules_that_are_not_there_are_found_before_any_work(
    groups: dict[str, dict[str, Any]], tmp_path: Path, group: str, key: str, value: Any, file: str
) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "reading.py").touch()
    check_own_modules(parse_params(groups), tmp_path)
    groups[group][key] = value
    with pytest.raises(ParamsError, match=rf"'{group}.{key}' names 'nowhere', .*{file}"):
        check_own_modules(parse_params(groups), tmp_path)
    (tmp_path / file).mkdir(parents=True)
    with pytest.raises(ParamsError, match="there is no"):
        check_own_modules(parse_params(groups), tmp_path)
    (tmp_path / file).rmdir()
    (tmp_path / file).write_text("class Nothing:\n    pass\n")
    check_own_modules(parse_params(groups), tmp_path)
    (tmp_path / file).write_text("class Nothing(:\n")
    with pytest.raises(ParamsError, match=rf"{file}' is not Python"):
        check_own_modules(parse_params(groups), tmp_path)


def test_a_class_that_its_module_lacks_is_found_too(
    groups: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "cheap.py").write_text("class MostShown:\n    pass\n")
    groups["validate"]["baselines"] = ["usual", "cheap:MostShwon"]
    with pytest.raises(ParamsError, match=r"'cheap:MostShwon', but .* has \['MostShown'\]"):
        check_own_modules(parse_params(groups), tmp_path)
    (tmp_path / "baselines" / "cheap.py").write_text("class A:\n    pass\nclass B(A):\n    pass\n")
    groups["validate"]["baselines"] = ["usual", "cheap:A", "cheap:B"]
    check_own_modules(parse_params(groups), tmp_path)
