"""What all parts share: counts, where services find their files, and lines of the table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from feedrank.artifact.artifact import Artifact
from tests.support.small_artifact import MOMENT, PATH, export_again, small_params, write_artifact


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    tries: int
    failures: int
    words: str = ""


@dataclass(frozen=True)
class Scene:
    """Two artifacts, a link to one of them, and requests.

    Attributes:
        folder: scratch.
        artifacts: two that differ.
        paths: of the lists of all users.
    """

    folder: Path
    artifacts: tuple[Path, Path]
    paths: list[str]

    @classmethod
    def made_in(cls, folder: Path) -> Scene:
        """Two artifacts of a small simulated network."""
        params, first, second = small_params(), folder / "first", folder / "second"
        write_artifact(first, folder, params)
        export_again(second, folder, replace(params.export, candidates=50))
        scene = cls.found_in(folder)
        scene.link(0)
        return scene

    @classmethod
    def found_in(cls, folder: Path) -> Scene:
        """What `made_in` has made."""
        artifacts = (folder / "first", folder / "second")
        users = Artifact.load(artifacts[0]).store.catalogue.user_ids.tolist()
        return cls(folder, artifacts, [f"{PATH}?id={user}&time={MOMENT}" for user in users])

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a service that follows the link."""
        return {
            "FEEDRANK_ARTIFACT": str(self.folder / "live"),
            "FEEDRANK_STATE": str(self.folder / "state"),
            "FEEDRANK_POLL_SECONDS": "0.1",
        }

    def link(self, number: int) -> None:
        """Move the link, whole, to one of the two artifacts."""
        new = self.folder / "live.new"
        new.symlink_to(self.artifacts[number % 2])
        new.replace(self.folder / "live")


def counts(program: str, tries: dict[str, tuple[int, int]]) -> argparse.Namespace:
    """The command line's counts; by default the usual ones, of minutes, or with `--full` all.

    Args:
        program: its name.
        tries: by option, of the usual run and of the full one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--full", action="store_true", help="the counts of docs/reliability.md")
    for name, (usual, full) in tries.items():
        parser.add_argument(f"--{name}", type=int, help=f"{usual:,}, or {full:,}; 0: none")
    given = parser.parse_args()
    for name, both in tries.items():
        if getattr(given, name) is None:
            setattr(given, name, both[given.full])
    return given
