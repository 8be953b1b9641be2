"""Study: a search as Optuna keeps it on disk, seeded and resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from feedrank.errors import FeedrankError
from feedrank.experiments.space import Range, applied, present, rounded, space_of
from feedrank.params import Params
from feedrank.validation.hitrate.scores import KINDS

RATES = "rates"  # attribute of a trial: its three hit rates
GROUPS = ("features", "validate", "train", "export")


@dataclass(frozen=True)
class Search:
    """Search over some parameters, whose trials are kept in a file.

    Attributes:
        studies: the file of all studies.
        name: of the study.
        params: the present parameters.
        names: of those that are chosen.
        kind: of the hit rate that is maximised.
        seed: of the proposals.
    """

    studies: Path
    name: str
    params: Params
    names: Sequence[str]
    kind: str
    seed: int

    def run(self, rates: Callable[[Params], dict[str, float]], n_trials: int) -> Any:
        """The best trial once `n_trials` are finished, those of previous runs included.

        Each trial is printed when it is finished, previous ones at once.

        Args:
            rates: the hit rates by kind under some parameters.
            n_trials: finished trials, in all.

        Raises:
            FeedrankError: Optuna is not installed.
        """
        optuna, space = _optuna(), space_of(self.names, self.params)
        self.studies.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=f"sqlite:///{self.studies}",
            study_name=self.name,
            load_if_exists=True,
            direction="maximize",
        )
        finished = _finished(study)
        for n in range(len(finished)):
            print(line_of(finished[: n + 1]), flush=True)
        # Seeded by the finished trials: a resumed search would else repeat its first proposals.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(finished))
        if not finished:
            study.enqueue_trial(present(self.names, self.params))
        study.optimize(
            lambda trial: self._tried(rates, space, trial),
            n_trials=max(0, n_trials - len(finished)),
            callbacks=[lambda study, _: print(line_of(_finished(study)), flush=True)],
        )
        return _best(_finished(study))

    def _tried(
        self, rates: Callable[[Params], dict[str, float]], space: dict[str, Range], trial: Any
    ) -> float:
        choice = {name: _suggested(trial, name, of) for name, of in space.items()}
        found = rates(applied(choice, self.params))
        trial.set_user_attr(RATES, found)
        return found[self.kind]


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise FeedrankError(
            "a search needs Optuna, which is not installed. Run `pip install -r "
            "requirements-search.txt -c constraints.txt`."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials() if trial.value is not None]


def _best(trials: Sequence[Any]) -> Any:
    """The best trial; of equal ones the earliest: many settings grow no tree and list the same."""
    return max(trials, key=lambda trial: (trial.value, -trial.number))


def _suggested(trial: Any, name: str, of: Range) -> float:
    if of.is_whole:
        return int(trial.suggest_int(name, int(of.low), int(of.high), log=of.is_log))
    return rounded(trial.suggest_float(name, of.low, of.high, log=of.is_log))


def choice_of(trial: Any) -> dict[str, float]:
    """Values of a trial, by parameter."""
    return {name: rounded(value) for name, value in trial.params.items()}


def head_of(names: Sequence[str]) -> str:
    """The first lines of the table of trials, as Markdown."""
    cells = ["trial", *(name.split(".")[1] for name in names), *KINDS, "best so far"]
    return f"| {' | '.join(cells)} |\n" + "| --- " * len(cells) + "|"


def line_of(trials: Sequence[Any]) -> str:
    """A line of that table: the last of the finished trials, and which of them is the best."""
    trial = trials[-1]
    values = [f"{value:g}" for value in choice_of(trial).values()]
    rates = [f"{trial.user_attrs[RATES][kind]:.4f}" for kind in KINDS]
    cells = [str(trial.number), *values, *rates, f"trial {_best(trials).number}"]
    return f"| {' | '.join(cells)} |"


def name_of(params: Params, names: Sequence[str], *others: object) -> str:
    """Name of a study: equal for searches whose trials are comparable, and only for these.

    Args:
        params: the present ones; those that are chosen do not count.
        names: of the chosen ones.
        others: further conditions of a trial, such as the log's counts.
    """
    groups = {group: asdict(getattr(params, group)) for group in GROUPS}
    for name in names:
        group, key = name.split(".")
        groups[group].pop(key, None)
    text = json.dumps([groups, sorted(names), others], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
