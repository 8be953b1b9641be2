"""Parameters: `params.yaml` as typed, frozen groups, each key checked on reading."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from feedrank.errors import ParamsError
from feedrank.io.param_fields import (
    Baselines,
    Days,
    Duration,
    Exposures,
    Master,
    Modules,
    Moment,
    Number,
    RankerName,
    ShortDuration,
    Timeout,
    Whole,
    duration_seconds,
    moment,
    words_of,
)

PARAMS_FILE = Path("params.yaml")
MOST_BUCKETS = 4096  # files of one log
CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class EngineParams:
    """What runs the passes over the buckets."""

    name: Literal["local", "spark"]
    master: Master
    store: str | None
    held_rows: Whole = Field(ge=100, le=1_000_000_000)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DemoParams:
    """The simulated network that fills the embedded database."""

    kind: Literal["course", "interests", "films", "news", "news_clicked", "video", "pictures"]
    seed: Whole = Field(ge=0)
    users: Whole = Field(ge=20, le=10_000_000)
    posts: Whole = Field(ge=50, le=1_000_000)
    days: Whole = Field(ge=10, le=3650)
    effect_scale: Number = Field(ge=0, le=4)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class SourceParams:
    """Names in the database, and how its rows are read."""

    schema: str
    users: str
    posts: str
    feed: str
    events: str | None
    user_id: str
    post_id: str
    text: str
    topic: str
    hidden: str | None
    embedding: str | None
    profile: list[str] | None
    timestamp: str
    action: str
    target: str
    positive: list[str] = Field(min_length=1)
    like_window: Duration | None
    time_zone: str
    statement_timeout: Timeout
    exposures: Exposures | None
    exposure_window: ShortDuration

    @model_validator(mode="after")
    def _has_a_window_for_its_events(self) -> SourceParams:
        if self.events is not None and self.like_window is None:
            raise ValueError("'events' needs 'like_window', such as 1h: how long a view may wait")
        return self

    @property
    def like_window_seconds(self) -> int | None:
        """Seconds after a view in which a like is its like; None where `target` is the label."""
        return None if self.like_window is None else duration_seconds(self.like_window)

    @property
    def exposure_window_seconds(self) -> int:
        """Seconds after a list in which an impression of one of its posts is of it."""
        return duration_seconds(self.exposure_window)

    @property
    def statement_timeout_seconds(self) -> int:
        """Seconds that one statement may take."""
        return duration_seconds(self.statement_timeout)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ExtractParams:
    """What is read from the database, and into how many files."""

    since: Moment | None
    until: Moment | None
    buckets: Whole | None = Field(ge=1, le=MOST_BUCKETS)
    connections: Whole = Field(ge=1, le=64)
    chunk_rows: Whole = Field(ge=1_000, le=2_000_000)
    user_share: Number = Field(ge=1e-6, le=1)
    max_orphan_share: Number = Field(ge=0, le=1)

    @property
    def since_at(self) -> datetime | None:
        """First moment that is read."""
        return None if self.since is None else moment(self.since)

    @property
    def until_at(self) -> datetime | None:
        """First moment that is no longer read."""
        return None if self.until is None else moment(self.until)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FeaturesParams:
    """The two passes: what is counted, and which rows are written for training."""

    step: Duration
    warmup_days: Days | None
    segments: Whole = Field(ge=1, le=64)
    clusters: Whole = Field(ge=1, le=256)
    factors: Whole = Field(ge=0, le=64)
    refits: Whole = Field(ge=1, le=16)
    vocabulary: Whole = Field(ge=0, le=1_000_000)
    half_life_days: Number = Field(ge=0.01, le=3650)
    row_share: Number = Field(ge=0, le=1)
    max_rows: Whole = Field(ge=100, le=1_000_000_000)
    plugins: Modules
    seed: Whole = Field(ge=0)

    @property
    def step_seconds(self) -> int:
        """Length of a step in seconds."""
        return duration_seconds(self.step)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ValidateParams:
    """Time-split folds, and how their hit rates are judged."""

    k: list[Annotated[Whole, Field(ge=1, le=100)]] = Field(min_length=1)
    folds: Whole = Field(ge=1, le=52)
    test_days: Days | None
    requests: Whole | None = Field(ge=50, le=10_000_000)
    state: Literal["fresh", "aged"]
    baselines: Baselines
    bootstrap: Whole = Field(ge=50, le=100_000)
    seed: Whole = Field(ge=0)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TrainParams:
    """The ranker; trees, and all that is said of them, are of XGBoost's and LightGBM's."""

    ranker: RankerName
    trees: Whole = Field(ge=1, le=100_000)
    learning_rate: Number = Field(ge=1e-4, le=1)
    max_depth: Whole = Field(ge=1, le=16)
    min_child_weight: Number = Field(ge=0, le=1e6)
    reg_lambda: Number = Field(ge=0, le=1e6)
    min_split_gain: Number = Field(ge=0, le=1e6)
    subsample: Number = Field(ge=0.01, le=1)
    colsample_bytree: Number = Field(ge=0.01, le=1)
    max_bin: Whole = Field(ge=8, le=4096)
    early_stopping_rounds: Whole = Field(ge=1, le=10_000)
    threads: Whole = Field(ge=1, le=1024)
    seed: Whole = Field(ge=0)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ExportParams:
    """How the artifact recommends, and how it proves itself."""

    candidates: Whole = Field(ge=1, le=10_000_000)
    exclude: Literal["nothing", "liked", "seen"]
    unknown: Literal["refuse", "popular"]
    golden_requests: Whole = Field(ge=1, le=10_000)
    explore: Number = Field(ge=0, le=0.5)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CheckerParams:
    """What the two files for the course hold."""

    history_days: Days | None


@dataclass(frozen=True, kw_only=True, config=CHECKED)
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
        ParamsError: there is no file, or a key is unknown, missing or impossible; it is named.
    """
    if not path.exists():
        raise ParamsError(f"'{path}' not found. Run from the folder that holds it.")
    try:
        # The reader that DVC uses: in YAML 1.2 `1e-5` is a number and `no` is a word.
        return parse_params(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"'{path}' is not YAML: {error}") from error


def parse_params(groups: Any) -> Params:
    """Parameters from the nested mapping that a file holds; raises `ParamsError`."""
    try:
        return TypeAdapter(Params).validate_python(groups)
    except ValidationError as error:
        raise ParamsError(
            "\n".join(words_of(Params, **found) for found in error.errors())
        ) from None


if __name__ == "__main__":  # the JSON schema, for editors
    print(json.dumps(TypeAdapter(Params).json_schema(), indent=1))
