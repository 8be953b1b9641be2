"""Rebuild everything from the tracked files in a scratch folder and compare every output's hash.

    make prove        (or: python -m benchmarks.prove)

Needs a finished `dvc repro` here: its `dvc.lock` is what the scratch run is compared with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from feedrank.experiments.ablation import REPORT as ABLATION
from tests.support.checkout import LOCK, copy_tracked, differences, outputs


def copy_ablation(folder: Path) -> None:
    """The page shows the last ablation, which `make ablation` writes and no stage makes."""
    if ABLATION.exists():
        (folder / ABLATION).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ABLATION, folder / ABLATION)


def rebuild(folder: Path) -> None:
    """Run the pipeline from nothing in a folder."""
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=folder, check=True)
    subprocess.run([*dvc, "repro"], cwd=folder, check=True)


def main() -> None:
    if not LOCK.exists():
        sys.exit("error: no dvc.lock here. Run `dvc repro` first.")
    with tempfile.TemporaryDirectory(prefix="feedrank-prove-") as scratch:
        copy_tracked(Path.cwd(), Path(scratch))
        copy_ablation(Path(scratch))
        rebuild(Path(scratch))
        here, there = outputs(LOCK), outputs(Path(scratch) / LOCK)
    found = differences(here, there)
    if found:
        sys.exit("NOT the same bytes:\n" + "\n".join(found))
    print(f"proved: {len(here)} outputs were rebuilt with the same bytes")


if __name__ == "__main__":
    main()
