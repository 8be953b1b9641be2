"""Pythons of this machine, and virtual environments with the checker's pins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).parents[3] / "deploy" / "checker"
COURSE, TODAY = PINS / "course.txt", PINS / "today.txt"
VERSIONS = {"3.8": COURSE, "3.9": COURSE, "3.10": COURSE, "3.11": TODAY, "3.12": TODAY}
OPTIONAL = "# may be left out"


@dataclass(frozen=True)
class Environment:
    """A Python and what is installed for it."""

    version: str
    python: Path
    pins: Path

    @property
    def name(self) -> str:
        """As in `course-3.8`."""
        return f"{self.pins.stem}-{self.version}"


def environments() -> list[Environment]:
    """Environments whose Python is found, oldest first."""
    found = [(v, find_python(v), pins) for v, pins in VERSIONS.items()]
    return [Environment(v, python, pins) for v, python, pins in found if python]


def find_python(version: str) -> Path | None:
    """A Python of this version: on the path, or among pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [*sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)]
    if on_path := shutil.which(f"python{version}"):
        candidates.insert(0, Path(on_path))
    ask = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for python in candidates:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return python
    return None


def install(environment: Environment, folder: Path) -> tuple[Path, list[str]]:
    """Python of a virtual environment with the pins, and the packages that cannot be built there.

    One that was built before is used again if its pins are still the same.
    """
    home = folder / environment.name
    python, built = home / "bin" / "python", home / "built.txt"
    pins = environment.pins.read_text()
    if not built.exists() or built.read_text().partition("\n---\n")[2] != pins:
        print(f"installing {environment.pins.name} for Python {environment.version}",
              file=sys.stderr)  # fmt: skip
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([environment.python, "-m", "venv", home], check=True)
        left_out = _install_pins(python, environment.pins, home)
        built.write_text("\n".join(left_out) + "\n---\n" + pins)
    return python, [name for name in built.read_text().partition("\n---\n")[0].split("\n") if name]


def _install_pins(python: Path, pins: Path, home: Path) -> list[str]:
    """Install all pins; returns the optional ones that cannot be built."""
    if _pip(python, home, "-r", pins):
        return []
    lines = [line for line in pins.read_text().splitlines() if re.match(r"\w", line)]
    needed = [line for line in lines if OPTIONAL not in line]
    if not _pip(python, home, *needed):
        raise SystemExit(f"error: '{pins}' cannot be installed:\n{(home / 'pip.log').read_text()}")
    optional = [line.partition("#")[0].strip() for line in lines if OPTIONAL in line]
    return [pin for pin in optional if not _pip(python, home, "-c", pins, pin)]


def _pip(python: Path, home: Path, *what: str | Path) -> bool:
    """Whether pip could install it; its last output is kept in `pip.log`."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    with (home / "pip.log").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0
