"""Export: one directory that a service can load, with golden requests and a manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from feedrank.artifact.export import export
from feedrank.params import PARAMS_FILE, load_params
from stages.run import run

FEATURES, RANKER, ARTIFACT = (
    Path("data/features"),
    Path("models/ranker"),
    Path("models/artifact"),
)
METRICS, REQUESTS = Path("reports/metrics.json"), Path("reports/requests.parquet")


def main() -> None:
    """Write `models/artifact`."""
    params = load_params()
    facts = {
        "metrics": json.loads(METRICS.read_text()),
        "like_window": params.source.like_window_seconds,
        "params_sha256": hashlib.sha256(PARAMS_FILE.read_bytes()).hexdigest(),
    }
    export(ARTIFACT, FEATURES, RANKER, params.export, facts, params.validate.seed, 5, REQUESTS)


if __name__ == "__main__":
    run(main)
