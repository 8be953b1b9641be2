"""Checker: the two files that run in the course's own environment."""

from __future__ import annotations

from pathlib import Path

from feedrank.artifact.artifact import Artifact
from feedrank.checker.bundle import write_bundle
from feedrank.params import load_params
from stages.run import run

ARTIFACT, CHECKER = Path("models/artifact"), Path("models/checker")


def main() -> None:
    """Write `models/checker`."""
    write_bundle(CHECKER, Artifact.load(ARTIFACT), load_params().checker)


if __name__ == "__main__":
    run(main)
