"""Examples of docs/extend.md: each at most twenty lines, and each runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from feedrank.training.fit import fit_ranker
from feedrank.validation.own_baselines import own_baselines
from tests.support.simulated_logs import DAY, Learned, simulated

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extend.md").read_text()
EXAMPLES = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.S)
MOST_LINES = 20


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that holds the examples' files and no other."""
    for name, source in EXAMPLES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "source"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_has_at_most_twenty_lines(name: str, source: str) -> None:
    assert len([line for line in source.splitlines() if line.strip()]) <= MOST_LINES, name


def test_the_examples_pass_the_checks_of_style(folder: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "feedrank").symlink_to(ROOT / "feedrank")  # by which imports of ours are known
    check = [sys.executable, "-m", "ruff", "check", "--no-cache", "plugins"]
    found = subprocess.run(check, cwd=folder, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_stage_that_embeds_comes_before_the_source() -> None:
    of_page = re.search(r"```yaml\n(stages:.*?)```", PAGE, re.S)
    assert of_page is not None
    stages = yaml.safe_load(of_page[1])["stages"]
    example = ROOT / stages["embed"]["cmd"].removeprefix("python ")
    assert [str(example.relative_to(ROOT))] == stages["embed"]["deps"]
    code = example.read_text().split('"""')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
    assert f'"{Path(stages["embed"]["outs"][0]).name}"' in code
    assert stages["source"]["deps"] == stages["embed"]["outs"]


def test_own_features_are_trained_on() -> None:
    usual = simulated()
    features = replace(usual.params.features, plugins=["author"])
    learned = Learned.of(usual.log, replace(usual.params, features=features))
    names = [feature.name for feature in learned.recommender.features]
    assert names[-2:] == ["own_author", "hour_rate"] == learned.ranker.feature_names[-2:]
    assert (np.ptp(learned.rows.matrix[:, -2:], axis=0) > 0).all()


def test_an_own_ranker_orders_by_its_scores() -> None:
    usual = simulated()
    train = replace(usual.params.train, ranker="ridge:Ridge")
    ranker = fit_ranker(usual.rows, None, usual.recommender.features, train, usual.store)
    learned = replace(usual, ranker=ranker)
    assert learned.ranker.learned["weights"].shape == (len(ranker.feature_names) + 2,)
    assert learned.probability().mean() == pytest.approx(usual.rows.liked.mean(), rel=0.2)
    ours, first = (of.recommender.rank(3, 20 * DAY, 50).post.tolist() for of in (learned, usual))
    assert ours != first


def test_an_own_baseline_ranks_by_its_scores() -> None:
    learned = simulated()
    baseline = own_baselines(["cheap:MostShown"])["cheap:MostShown"]
    own = baseline(learned.store, baseline.fit(learned.rows), None)
    posts = np.arange(own.n_posts)
    scores = own.score(3, 20 * DAY, posts)
    (ranked,) = own.rank_many(np.array([3]), np.array([20 * DAY]), 5, [posts])
    assert ranked.post.tolist() == np.argsort(-scores, kind="stable")[:5].tolist()
