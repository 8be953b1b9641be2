"""Ablation: hit rates of the ranker without each of its parts, on the same requests, paired.

    python -m feedrank.experiments.ablation      (or: make ablation)

Writes `reports/ablation.json`. Ablations that change the fitted parameters run all of `features`
again, which takes some minutes; a finished `dvc repro` is required.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from feedrank.engines.processes import one_thread_of_algebra
from feedrank.errors import command
from feedrank.experiments.ablated_ranker import result_without
from feedrank.experiments.comparison.pairs import Pairs
from feedrank.features.feature import TERM
from feedrank.features.row_files import load_rows
from feedrank.features.row_pass import training_rows
from feedrank.features.rows import EVER, TrainingRows
from feedrank.features.spec import AGED, OF_WORDS, REPEATED, WINDOWED, features_of
from feedrank.features.topics import GROUPS
from feedrank.io.progress import log_to_stderr
from feedrank.io.storage import url_of
from feedrank.io.writer_lock import LOCK, one_writer
from feedrank.learning.fit import fit_store
from feedrank.log.calendar import Calendar
from feedrank.log.files import Log
from feedrank.params import Params, load_params
from feedrank.schema import TEXT
from feedrank.state.feature_store import FeatureStore
from feedrank.state.fitted import FittedParameters
from feedrank.stats.intervals import rounded
from feedrank.validation.fold import FoldResult
from feedrank.validation.results.metrics_json import write_json
from feedrank.validation.results.summary import Summary

DATA, REPORT = Path("data"), Path("reports/ablation.json")
PAIR_STATE = tuple(f.name for f in REPEATED)
USER_STATE = ("user_log_ratio", "user_cluster_log_ratio", "user_topic_log_ratio",
              "factor_log_ratio", "user_impression_count", *PAIR_STATE)  # fmt: skip
SHORT_WINDOWS = tuple(feature.name for feature in WINDOWED)
AGE = ("post_log_age", *(feature.name for feature in AGED))
FULL = "full"


@dataclass(frozen=True)
class Ablation:
    """The ranker without a part.

    Attributes:
        name: of the part that is left out.
        words: consequence for the ranker.
        users: changes the users' table.
        posts: changes the posts' table.
        features: parameters of that group that differ.
        muted: features that are constant.
    """

    name: str
    words: str
    users: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    posts: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    features: dict[str, Any] = field(default_factory=dict)
    muted: tuple[str, ...] = ()

    @property
    def refits(self) -> bool:
        """Whether the warm-up and the passes run again."""
        return bool(self.users or self.posts or self.features)


def ablations(fitted: FittedParameters) -> list[Ablation]:
    """The full ranker of these parameters, then one without each part."""
    features = features_of(fitted)
    terms = [feature for feature in features if feature.weight == TERM]
    of_words = tuple(feature.name for feature in features if feature.name == OF_WORDS.name)
    of_topics = tuple(f.name for f in terms if (f.group or f.grain) in GROUPS)
    found = [
        Ablation("user state", "the user's history is ignored", muted=(*USER_STATE, *of_words)),
        Ablation("pair", "that a post was liked or shown before is not known", muted=PAIR_STATE),
        Ablation("windows", "likes of the last steps do not count apart", muted=SHORT_WINDOWS),
        Ablation("topics", "topics have no contexts, and no last steps", muted=of_topics),
        Ablation("age", "the age of a post is not known", muted=AGE),
        Ablation("clusters", "all posts are one cluster", features={"clusters": 1}),
        Ablation("factors", "posts have no latent factors", features={"factors": 0}),
        Ablation("refits", "fitted once, on the warm-up", features={"refits": 1}),
        Ablation("text", "posts have a topic, but no text", posts=lambda t: t.assign(**{TEXT: ""})),
    ]
    if of_words:
        found.append(Ablation("taste words", "no word tells a user's taste", muted=of_words))
    if fitted.segment_column >= 0:
        column = fitted.column_names[fitted.segment_column]
        name, words = f"{column} x post", f"'{column}' does not split users"
        found.insert(0, Ablation(name, words, users=lambda t: t.drop(columns=[column])))
    return [Ablation(FULL, "everything"), *found]


def requests_without(ablation: Ablation, log: Log, params: Params) -> pd.DataFrame:
    """Hits of every request of all folds, by a ranker without a part."""
    results = results_without(ablation, log, params, DATA)
    catalogue = FeatureStore.load(DATA / "features").catalogue
    return Summary.of(results, params.validate).requests(log, catalogue)


def results_without(ablation: Ablation, log: Log, params: Params, data: Path) -> list[FoldResult]:
    """All folds, replayed by a ranker without a part.

    Args:
        ablation: the part that is left out.
        log: extracted feed.
        params: of the full ranker.
        data: where its `features` and `rows` lie.
    """
    params = replace(params, features=replace(params.features, **ablation.features))
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    with tempfile.TemporaryDirectory(prefix="feedrank-ablation-") as scratch:
        rows, features = _rows_and_store(ablation, log, params, data, Path(scratch))
        return [
            result_without(log, features, rows, fold, params, ablation.muted)
            for fold in calendar.folds(params.validate.folds)
        ]


def _rows_and_store(
    ablation: Ablation, log: Log, params: Params, data: Path, folder: Path
) -> tuple[TrainingRows, Path]:
    """Training rows (of rows in files a sample), and the directory of the store."""
    if not ablation.refits:
        return load_rows(data / "rows").between(0, EVER), data / "features"
    changed = _with_tables(ablation, log, folder / "log")
    store = fit_store(changed, params)
    rows = training_rows(changed, store, params, url_of(folder / "rows"))
    features = folder / "features"
    features.mkdir()
    store.save(features)
    return rows.between(0, EVER), features


def _with_tables(ablation: Ablation, log: Log, directory: Path) -> Log:
    """The same impressions beside changed tables of users and posts."""
    shutil.copytree(log.directory, directory, copy_function=_link)
    for name, change in (("users", ablation.users), ("posts", ablation.posts)):
        if change is not None:
            path = directory / f"{name}.parquet"
            path.unlink()
            change(getattr(log, name)).to_parquet(path)
    return Log.open(directory)


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())


def table_of(hits: dict[str, pd.DataFrame], params: Params) -> list[dict[str, Any]]:
    """One row an ablation: its hit rates, and its difference from the full ranker.

    Args:
        hits: requests of each ablation, the full one first.
        params: of the run.
    """
    k, rows = params.validate.k[0], []
    for name, table in hits.items():
        pairs = Pairs.of(hits[FULL], table, params.validate.bootstrap, params.validate.seed)
        row: dict[str, Any] = {"without": name}
        for kind in ("expected", "shown"):
            found = pairs.difference(f"{kind}@{k}")
            row[kind] = rounded(found.b.value)
            row |= found.gain.entries(f"{kind}_change", f"{kind}_low", f"{kind}_high")
        rows.append(row)
    return rows


@command(failed=2)
def main(words: Sequence[str] = ()) -> None:
    """Run every ablation and write the table."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0]).parse_args(words)
    log_to_stderr()
    one_thread_of_algebra()
    with one_writer(LOCK):
        print("\n".join(lines_of(_measured())))


def _measured() -> list[dict[str, Any]]:
    """Rows of the table, which is also written."""
    params, log = load_params(), Log.open(DATA / "log")
    every, hits = ablations(FeatureStore.load(DATA / "features").fitted), {}
    for ablation in every:
        which = FULL if ablation.name == FULL else f"without {ablation.name}"
        print(f"{which}: {ablation.words}", flush=True)
        hits[ablation.name] = requests_without(ablation, log, params)
    rows = table_of(hits, params)
    rows = [row | {"words": ablation.words} for row, ablation in zip(rows, every, strict=True)]
    write_json(REPORT, {"k": params.validate.k[0], "rows": rows})
    return rows


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    """The table as Markdown."""
    head = ["| without | expected | change | shown | change |", "| --- | --- | --- | --- | --- |"]
    return head + [
        f"| {row['without']} | {_cells(row, 'expected')} | {_cells(row, 'shown')} |" for row in rows
    ]


def _cells(row: dict[str, Any], kind: str) -> str:
    """A hit rate and its change, with dashes for what has no value or no interval."""
    names = ((kind, ".3f"), *((f"{kind}_{part}", "+.3f") for part in ("change", "low", "high")))
    rate, change, low, high = (
        "-" if row[name] is None else f"{row[name]:{form}}" for name, form in names
    )
    return f"{rate} | {change} [{low}, {high}]"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
