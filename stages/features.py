"""Features: the warm-up, the two passes over the log, and the rows for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from feedrank.atomic import new_directory
from feedrank.folds import Calendar
from feedrank.knowledge import Knowledge
from feedrank.log import Log
from feedrank.params import load_params
from feedrank.passes import count_shared, training_rows
from feedrank.profiles import Profiles
from feedrank.state import SharedHistory
from feedrank.strengths import fit_strengths
from feedrank.warmup import fit_encodings
from stages.run import run

LOG, FEATURES, ROWS = Path("data/log"), Path("data/features"), Path("data/rows")


def main() -> None:
    """Write `data/features` (what was learned) and `data/rows` (training rows)."""
    params = load_params()
    log = Log.open(LOG)
    calendar = Calendar.of(log.meta, params.features.warmup_days, params.validate.test_days)
    profiles = Profiles.of(log.users, params.features.segments)
    encodings = fit_encodings(log, profiles, calendar, params.features)
    shared, history = count_shared(log, profiles, encodings)
    warm = calendar.warmup_days * 86_400 // params.features.step_seconds
    strengths = fit_strengths(encodings, shared, history, profiles.codes, warm)
    encodings = replace(encodings, strengths=strengths)
    knowledge = Knowledge.of(log.meta, log.users, log.posts, profiles, encodings, shared, history)
    with new_directory(FEATURES) as directory:
        knowledge.save(directory)
    states = SharedHistory(encodings, shared)
    with new_directory(ROWS) as directory:
        training_rows(log, profiles, states, calendar, params.features).save(directory)


if __name__ == "__main__":
    run(main)
