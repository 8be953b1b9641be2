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

import yaml

LOCK = Path("dvc.lock")


def outputs(lock: Path) -> dict[str, str]:
    """Hash of every output of a lock file, by path."""
    stages = yaml.safe_load(lock.read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def copy_tracked(source: Path, target: Path) -> None:
    """Copy what git tracks, as it is in the working tree, but for locks and DVC's own state."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=source, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if name == LOCK.name or name.startswith((".dvc/", "reports/")):
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, place)


def rebuild(folder: Path) -> None:
    """Run the pipeline from nothing in a folder."""
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=folder, check=True)
    subprocess.run([*dvc, "repro"], cwd=folder, check=True)


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """One line for each output that is not the same."""
    return [
        f"{path}: {here.get(path, 'absent')} here, {there.get(path, 'absent')} rebuilt"
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    ]


def main() -> None:
    if not LOCK.exists():
        sys.exit("error: no dvc.lock here. Run `dvc repro` first.")
    with tempfile.TemporaryDirectory(prefix="feedrank-prove-") as scratch:
        copy_tracked(Path.cwd(), Path(scratch))
        rebuild(Path(scratch))
        here, there = outputs(LOCK), outputs(Path(scratch) / LOCK)
    found = differences(here, there)
    if found:
        sys.exit("NOT the same bytes:\n" + "\n".join(found))
    print(f"proved: {len(here)} outputs were rebuilt with the same bytes")


if __name__ == "__main__":
    main()
