"""Checkout: a copy of its tracked files, and a comparison of the hashes of its outputs."""

from __future__ import annotations

import shutil
import subprocess
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


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """One line for each output that is not the same."""
    return [
        f"{path}: {here.get(path, 'absent')} here, {there.get(path, 'absent')} rebuilt"
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    ]
