"""`params.yaml` as typed, frozen groups: one group a stage, each key checked on reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from feedrank.errors import ParamsError
from feedrank.param_fields import (
    bounded,
    duration_seconds,
    moment,
    one_of,
    parse_group,
    read_by,
    refuse_difference,
    spark_master,
)

PARAMS_FILE = Path("params.yaml")


@dataclass(frozen=True)
class EngineParams:
    """What runs the passes over the buckets."""

    store: str | None
    name: str = one_of("local", "spark")
    master: str = read_by(spark_master)
    held_rows: int = bounded(100, 1_000_000_000)


@dataclass(frozen=True)
class DemoParams:
    """The simulated network that fills the embedded database."""

    seed: int = bounded(0)
    users: int = bounded(20, 10_000_000)
    posts: int = bounded(50, 1_000_000)
    days: int = bounded(10, 3650)
    effect_scale: float = bounded(0, 4)


@dataclass(frozen=True)
class SourceParams:
    """Names in the database, and how its rows are read."""

    schema: str
    users: str
    posts: str
    feed: str
    user_id: str
    post_id: str
    text: str
    topic: str
    timestamp: str
    action: str
    target: str
    time_zone: str
    statement_timeout: str = read_by(duration_seconds)

    @property
    def statement_timeout_seconds(self) -> int:
        """Seconds that one statement may take."""
        return duration_seconds("source.statement_timeout", self.statement_timeout)


@dataclass(frozen=True)
class ExtractParams:
    """What is read from the database, and into how many files."""

    since: str | None = read_by(moment)
    until: str | None = read_by(moment)
    buckets: int = bounded(1, 4096)
    connections: int = bounded(1, 64)
    chunk_rows: int = bounded(1_000, 2_000_000)
    user_share: float = bounded(1e-6, 1)
    max_orphan_share: float = bounded(0, 1)

    @property
    def since_at(self) -> datetime | None:
        """First moment that is read."""
        return None if self.since is None else moment("extract.since", self.since)

    @property
    def until_at(self) -> datetime | None:
        """First moment that is no longer read."""
        return None if self.until is None else moment("extract.until", self.until)


@dataclass(frozen=True)
class FeaturesParams:
    """The two passes: what is counted, and which rows are written for training."""

    step: str = read_by(duration_seconds)
    warmup_days: int | None = bounded(1, 3650)
    segments: int = bounded(1, 64)
    clusters: int = bounded(1, 256)
    factors: int = bounded(0, 64)
    refits: int = bounded(1, 16)
    vocabulary: int = bounded(1, 1_000_000)
    half_life_days: float = bounded(0.01, 3650)
    row_share: float = bounded(0, 1)
    max_rows: int = bounded(100, 1_000_000_000)
    seed: int = bounded(0)

    @property
    def step_seconds(self) -> int:
        """Length of a step in seconds."""
        return duration_seconds("features.step", self.step)


@dataclass(frozen=True)
class ValidateParams:
    """Time-split folds, and how their hit rates are judged."""

    k: list[int] = bounded(1, 100)
    folds: int = bounded(1, 52)
    test_days: int | None = bounded(1, 365)
    requests: int = bounded(50, 10_000_000)
    state: str = one_of("fresh", "aged")
    baselines: str = one_of("usual", "all")
    bootstrap: int = bounded(50, 100_000)
    seed: int = bounded(0)


@dataclass(frozen=True)
class TrainParams:
    """The XGBoost ranker."""

    objective: str = one_of("binary:logistic")
    trees: int = bounded(1, 100_000)
    learning_rate: float = bounded(1e-4, 1)
    max_depth: int = bounded(1, 16)
    min_child_weight: float = bounded(0, 1e6)
    reg_lambda: float = bounded(0, 1e6)
    min_split_gain: float = bounded(0, 1e6)
    subsample: float = bounded(0.01, 1)
    colsample_bytree: float = bounded(0.01, 1)
    max_bin: int = bounded(8, 4096)
    early_stopping_rounds: int = bounded(1, 10_000)
    threads: int = bounded(1, 1024)
    seed: int = bounded(0)


@dataclass(frozen=True)
class ExportParams:
    """How the artifact recommends, and how it proves itself."""

    candidates: int = bounded(1, 10_000_000)
    exclude: str = one_of("nothing", "liked", "seen")
    golden_requests: int = bounded(1, 10_000)


@dataclass(frozen=True)
class CheckerParams:
    """What the two files for the course hold."""

    history_days: int | None = bounded(1, 3650)


@dataclass(frozen=True)
class Params:
    """All of `params.yaml`."""

    engine: EngineParams
    demo: DemoParams
    source: SourceParams
    extract: ExtractParams
    features: FeaturesParams
    validate: ValidateParams
    train: TrainParams
    export: ExportParams
    checker: CheckerParams


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check a parameter file.

    Raises:
        ParamsError: the file is missing, or a key is unknown, missing, of a wrong type or out of
            its range; the message names the key.
    """
    if not path.exists():
        raise ParamsError(f"'{path}' not found. Run from the folder that holds it.")
    try:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"'{path}' is not YAML: {error}") from error
    return parse_params(groups)


def parse_params(groups: Any) -> Params:
    """Parameters from the nested mapping that a file holds; raises `ParamsError`."""
    hints = get_type_hints(Params)
    refuse_difference("", groups, hints.keys())
    return Params(**{name: parse_group(name, hints[name], groups[name]) for name in hints})
