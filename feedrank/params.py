"""`params.yaml` as typed, frozen groups: one group a stage, each key checked on reading."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from feedrank.errors import ParamsError

PARAMS_FILE = Path("params.yaml")
LONGEST = 3650 * 86_400  # seconds of a duration
G = TypeVar("G")


def bounded(low: float = -math.inf, high: float = math.inf) -> Any:
    """A key whose number, or each of whose numbers, must lie in [low, high]."""
    return field(metadata={"low": low, "high": high})


def one_of(*choices: str) -> Any:
    """A key that takes one of a few words."""
    return field(metadata={"choices": choices})


def read_by(parse: Callable[[str, str], object]) -> Any:
    """A key whose text `parse` takes, given the key and the text, or refuses."""
    return field(metadata={"parse": parse})


def duration_seconds(key: str, text: str) -> int:
    """Seconds of '1h', '30min', '1d' or '7d'; raises `ParamsError` for anything else."""
    units = {"min": 60, "h": 3600, "d": 86_400}
    digits = text.rstrip("minhd")
    unit = units.get(text[len(digits) :])
    if unit is None or not digits.isdecimal() or int(digits) < 1:
        raise ParamsError(f"'{key}' is '{text}'; write a whole number and min, h or d, as in '1d'.")
    if int(digits) * unit > LONGEST:
        raise ParamsError(f"'{key}' is '{text}'; at most {LONGEST // 86_400}d.")
    return int(digits) * unit


def moment(key: str, text: str) -> datetime:
    """The naive moment that a key holds; raises `ParamsError` for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise ParamsError(
            f"'{key}' is '{text}'; write a date or a moment of the database's own clock, "
            "such as '2021-10-01' or '2021-10-01T12:00:00', in quotes."
        )
    return at


def spark_master(key: str, text: str) -> str:
    """A master as Spark names them; raises `ParamsError` for anything else."""
    if not re.fullmatch(r"local(\[.+\]|-cluster\[.+\])?|yarn|(spark|k8s)://.+", text):
        raise ParamsError(
            f"'{key}' is '{text}'; write local[2] for this machine, or spark://host:7077, yarn "
            "or k8s://https://host:443."
        )
    return text


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
    eras: int = bounded(1, 16)
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
    _refuse_difference("", groups, hints.keys())
    return Params(**{name: _parse_group(name, hints[name], groups[name]) for name in hints})


def _parse_group(name: str, group: type[G], values: Any) -> G:
    hints = get_type_hints(group)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(group)}  # type: ignore[arg-type]
    optional = {n for n, f in known.items() if f.default is not MISSING}
    _refuse_difference(f"{name}.", values, known.keys(), optional)
    return group(
        **{key: _check(f"{name}.{key}", hints[key], known[key], v) for key, v in values.items()}
    )


def _refuse_difference(
    prefix: str, values: Any, known: typing.Collection[str], optional: set[str] | None = None
) -> None:
    if not isinstance(values, dict):
        what = f"group '{prefix[:-1]}'" if prefix else "the file"
        raise ParamsError(f"{what} of params.yaml must hold keys, but holds {values!r}.")
    for key in values:
        if key not in known:
            raise ParamsError(f"unknown parameter '{prefix}{key}'; known are {', '.join(known)}.")
    for key in known:
        if key not in values and key not in (optional or set()):
            raise ParamsError(f"parameter '{prefix}{key}' is missing from params.yaml.")


def _check(key: str, kind: Any, spec: Field[Any], value: Any) -> Any:
    if isinstance(kind, types.UnionType) and value is None:
        return None
    if isinstance(kind, types.UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) is list:
        if not isinstance(value, list) or not value:
            raise ParamsError(f"'{key}' must be a list, but is {value!r}.")
        return [_check(f"{key}[{i}]", get_args(kind)[0], spec, v) for i, v in enumerate(value)]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ParamsError(f"'{key}' must be of type {kind.__name__}, but is {value!r}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ParamsError(f"'{key}' must be a finite number, but is {value!r}.")
    low, high = spec.metadata.get("low"), spec.metadata.get("high")
    if low is not None and high is not None and not low <= value <= high:
        raise ParamsError(f"'{key}' must lie in [{low}, {high}], but is {value!r}.")
    if parse := spec.metadata.get("parse"):
        parse(key, value)
    choices = spec.metadata.get("choices")
    if choices and value not in choices:
        raise ParamsError(f"'{key}' must be one of {', '.join(choices)}, but is {value!r}.")
    return value
