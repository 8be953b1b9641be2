"""Types of the values in `params.yaml`: what each takes, and what it says of anything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BeforeValidator, Field

SECONDS_A_DAY = 86_400
TABLE = "table:"  # begins a `source.exposures` that names a table
RANKERS = ("xgboost", "lightgbm_binary", "lightgbm_rank", "sequence")  # that are shipped
LONGEST = 3650 * SECONDS_A_DAY  # seconds of a duration: ten years, more than any log holds
LONGEST_TIMEOUT = 24 * SECONDS_A_DAY  # 2^31 ms are 24.9 days


def duration_seconds(text: str) -> int:
    """Seconds of '1h', '30min', '1d' or '7d'; raises `ValueError` for anything else.

    >>> duration_seconds("90min")
    5400
    """
    units = {"min": 60, "h": 3600, "d": SECONDS_A_DAY}
    digits = text.rstrip("minhd")
    unit = units.get(text[len(digits) :])
    if unit is None or not digits.isdecimal() or int(digits) < 1:
        raise ValueError("write a whole number and min, h or d, as in '1d'")
    if int(digits) * unit > LONGEST:
        raise ValueError(f"at most {LONGEST // SECONDS_A_DAY}d")
    return int(digits) * unit


def short_duration_seconds(text: str) -> int:
    """As `duration_seconds`, of a day at most."""
    if (seconds := duration_seconds(text)) > SECONDS_A_DAY:
        raise ValueError("at most 1d")
    return seconds


def timeout_seconds(text: str) -> int:
    """As `duration_seconds`, of what a server counts in milliseconds at most."""
    if (seconds := duration_seconds(text)) > LONGEST_TIMEOUT:
        raise ValueError(f"at most {LONGEST_TIMEOUT // SECONDS_A_DAY}d, as in PostgreSQL")
    return seconds


def moment(text: str) -> datetime:
    """The naive moment that a text names; raises `ValueError` for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise ValueError(
            "write a date or a moment of the database's own clock, such as '2021-10-01' or "
            "'2021-10-01T12:00:00', in quotes"
        )
    return at


def spark_master(text: str) -> str:
    """A master as Spark names them; raises `ValueError` for anything else."""
    if not re.fullmatch(r"local(\[.+\]|-cluster\[.+\])?|yarn|(spark|k8s)://.+", text):
        raise ValueError(
            "write local[2] for this machine, or spark://host:7077, yarn or k8s://https://host:443"
        )
    return text


def module(text: str) -> str:
    """The name of a Python module; raises `ValueError` for anything else."""
    if not text.isidentifier():
        raise ValueError("write the name of a module, without folder and ending")
    return text


def baseline(text: str) -> str:
    """A word of `validate.baselines`; raises `ValueError` for anything else."""
    if text not in ("usual", "all") and not _names_a_class(text):
        raise ValueError("write usual, all, or module:name for a class in plugins/baselines")
    return text


def ranker(text: str) -> str:
    """A ranker's name; raises `ValueError` for anything else."""
    if text not in RANKERS and not _names_a_class(text):
        raise ValueError(
            f"write {', '.join(RANKERS)}, or module:name for a class in plugins/rankers"
        )
    return text


def exposures(text: str) -> str:
    """A directory, or a table after 'table:'; raises `ValueError` for an empty name."""
    if not text.removeprefix(TABLE).strip():
        raise ValueError("write a directory, table:name for a table, or null for none")
    return text


def _names_a_class(text: str) -> bool:
    """Whether a text is a module and a class of it, as in 'module:name'."""
    of_module, _, of_class = text.partition(":")
    return of_module.isidentifier() and of_class.isidentifier()


def _once_each(names: list[str]) -> list[str]:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"'{twice}' stands there twice")
    return names


def _listed(value: Any) -> Any:
    """A text that stands alone, as a list of one."""
    return [value] if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Anything but a boolean, which Python counts among the whole numbers."""
    if isinstance(value, bool):
        raise ValueError("write a number")
    return value


def _date_as_text(value: Any) -> Any:
    """A date or moment that stands without quotes, as its text."""
    return value.isoformat() if isinstance(value, date) else value


def _read_by(parse: Callable[[str], object]) -> AfterValidator:
    """Keeps the text as the file writes it, if `parse` takes it."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Whole = Annotated[int, BeforeValidator(_number)]
Days = Annotated[Whole, Field(ge=1, le=LONGEST // SECONDS_A_DAY)]
Number = Annotated[float, BeforeValidator(_number)]
Duration = Annotated[str, _read_by(duration_seconds)]
Timeout = Annotated[str, _read_by(timeout_seconds)]
ShortDuration = Annotated[str, _read_by(short_duration_seconds)]
Moment = Annotated[str, BeforeValidator(_date_as_text), _read_by(moment)]
Master = Annotated[str, _read_by(spark_master)]
Baselines = Annotated[
    list[Annotated[str, _read_by(baseline)]],
    BeforeValidator(_listed),
    Field(min_length=1),
    AfterValidator(_once_each),
]
RankerName = Annotated[str, _read_by(ranker)]
Exposures = Annotated[str, _read_by(exposures)]
Modules = Annotated[list[Annotated[str, _read_by(module)]], AfterValidator(_once_each)]


def words_of(
    groups: Any, type: str, loc: tuple[int | str, ...], msg: str, input: Any, **about: Any
) -> str:
    """What is wrong with one key of a dataclass of groups, from one of pydantic's errors."""
    key = ".".join(map(str, loc))
    if type == "missing":
        return f"parameter '{key}' is missing from params.yaml."
    if type == "unexpected_keyword_argument":
        group = get_type_hints(groups)[str(loc[0])] if len(loc) > 1 else groups
        known = ", ".join(field.name for field in fields(group))
        return f"unknown parameter '{key}'; known are {known}."
    if type == "dataclass_type":
        what = f"group '{key}'" if key else "the file"
        return f"{what} of params.yaml must hold keys, but holds {input!r}."
    if type == "value_error":
        return f"'{key}' is {input!r}; {about['ctx']['error']}."
    return f"'{key}' is {input!r}, but {re.sub(r'^[A-Z][a-z]+ should', 'must', msg)}."
