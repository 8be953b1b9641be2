"""How a key of `params.yaml` is declared, and how its value is checked on reading."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from datetime import datetime
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from feedrank.errors import ParamsError

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


def parse_group(name: str, group: type[G], values: Any) -> G:
    """A group from the mapping that a file holds under its name; raises `ParamsError`."""
    hints = get_type_hints(group)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(group)}  # type: ignore[arg-type]
    optional = {n for n, f in known.items() if f.default is not MISSING}
    refuse_difference(f"{name}.", values, known.keys(), optional)
    return group(
        **{key: _check(f"{name}.{key}", hints[key], known[key], v) for key, v in values.items()}
    )


def refuse_difference(
    prefix: str, values: Any, known: typing.Collection[str], optional: set[str] | None = None
) -> None:
    """Raises `ParamsError` unless the mapping holds the known keys, and no others.

    Args:
        prefix: of the keys, as the message names them.
        values: what a file holds.
        known: all keys.
        optional: of these, those that may be missing.
    """
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
