"""Licence of every package that `requirements.txt` brings in: `make licences`."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path("requirements.txt")


def installed(path: Path) -> list[Distribution]:
    """The distributions of a list of requirements and all that they require here, by name."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    waiting = [Requirement(line) for line in lines if line and not line.startswith("-")]
    found: dict[tuple[str, str], Distribution | None] = {}
    while waiting:
        wanted = waiting.pop()
        extras = sorted(wanted.extras) or [""]
        for extra in extras:
            key = re.sub(r"[-_.]+", "-", wanted.name).lower(), extra
            if key in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            found[key] = _installed(wanted.name)
            waiting += _required(found[key], extra)
    unique = {name: package for (name, _), package in sorted(found.items()) if package}
    return list(unique.values())


def _installed(name: str) -> Distribution | None:
    """None for what another platform or an optional part would need."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _required(package: Distribution | None, extra: str) -> list[Requirement]:
    wanted = [Requirement(line) for line in (package.requires if package else None) or []]
    taken = [r for r in wanted if not r.marker or r.marker.evaluate({"extra": extra})]
    for requirement in taken:
        requirement.marker = None
    return taken


def licence_of(package: Distribution) -> str:
    """The SPDX expression, else the classifiers, else the first line of the licence's text."""
    about: Message = package.metadata  # type: ignore[assignment]  # which it is
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    text = (about.get("License") or "").strip().split("\n")[0]
    return about.get("License-Expression") or ", ".join(classifiers) or text or "not declared"


def main() -> None:
    """Print package, version and licence, one line each."""
    for package in installed(REQUIREMENTS):
        print(f"{package.metadata['Name']:32} {package.version:16} {licence_of(package)}")


if __name__ == "__main__":
    main()
