"""Search space: ranges of parameters, and a choice of them applied and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedrank.params import Params

Choice = Mapping[str, float]


@dataclass(frozen=True)
class Range:
    """Numbers that a parameter may take.

    Attributes:
        low: the least.
        high: the greatest.
        is_whole: whether the parameter is an integer.
        is_log: whether it is drawn on a logarithmic scale.
    """

    low: float
    high: float
    is_whole: bool = False
    is_log: bool = True

    def with_value(self, value: float) -> Range:
        """The same range, widened so that it holds a value; 0 has no logarithm."""
        low, high = min(self.low, value), max(self.high, value)
        return replace(self, low=low, high=high, is_log=self.is_log and low > 0)


# Around the values of `params.yaml`, by a factor of two to twenty to either side; a present value
# outside widens its range.
SPACE = {
    "train.learning_rate": Range(0.02, 0.3),
    "train.max_depth": Range(2, 8, is_whole=True, is_log=False),
    "train.min_child_weight": Range(5, 500),
    "train.reg_lambda": Range(1, 100),
    "train.min_split_gain": Range(1, 50),
    "train.subsample": Range(0.5, 1, is_log=False),
    "train.colsample_bytree": Range(0.4, 1, is_log=False),
    "export.candidates": Range(50, 1000, is_whole=True),
}


def space_of(names: Sequence[str], params: Params) -> dict[str, Range]:
    """Ranges of the named parameters, each holding the present value."""
    return {name: SPACE[name].with_value(value) for name, value in present(names, params).items()}


def present(names: Sequence[str], params: Params) -> dict[str, float]:
    """The parameters' present values, rounded as a trial's are."""
    return {name: rounded(getattr(getattr(params, _group(name)), _key(name))) for name in names}


def applied(choice: Choice, params: Params) -> Params:
    """The parameters with some of them chosen."""
    groups: dict[str, Any] = {}
    for name, value in choice.items():
        group = groups.get(_group(name), getattr(params, _group(name)))
        groups[_group(name)] = replace(group, **{_key(name): value})
    return replace(params, **groups)


def rounded(value: float) -> float:
    """Four digits, so that a trial has the very values that are printed."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def settings(choice: Choice) -> str:
    """The choice as options of `dvc exp run`."""
    return " ".join(f"-S {name}={value:g}" for name, value in choice.items())


def _group(name: str) -> str:
    return name.split(".")[0]


def _key(name: str) -> str:
    return name.split(".")[1]
