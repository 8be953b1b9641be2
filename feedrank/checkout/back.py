"""Go back to the committed state, if nothing is lost: `make back`.

python -m feedrank.checkout.back [--discard]
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from feedrank.checkout.committed import (
    DVC,
    TRACKED,
    absent_outputs,
    run,
    unsaved_files,
    unsaved_outputs,
)
from feedrank.checkout.mend import mend
from feedrank.errors import FeedrankError, command
from feedrank.io.writer_lock import LOCK, one_writer


def go_back(root: Path, discard: bool) -> None:
    """Restore parameters, `dvc.lock`, reports, data and models of the last commit.

    Args:
        root: of the checkout.
        discard: lose what is nowhere else.

    Raises:
        FeedrankError: something would be lost; nothing was changed.
    """
    with one_writer(root / LOCK):
        for words in mend(root):
            logging.warning(words)
        losses = [] if discard else losses_of(root)
        if losses:
            raise FeedrankError(
                "going back would lose work, so nothing was changed.\n" + "\n".join(losses) + "\n"
                "Or lose it: make back WITH=--discard"
            )
        run(root, "git", "checkout", "HEAD", "--", *TRACKED)
        run(root, *DVC, "checkout", *(["--force"] if discard else []))


def losses_of(root: Path) -> list[str]:
    """One line for each kind of loss, with names and the remedy."""
    kinds = {
        unsaved_files: "in no commit and no experiment; `git commit` or `dvc exp save` keeps them",
        absent_outputs: "the committed version is not in DVC's cache, so nothing would be left in "
        "its place; `dvc fetch` brings it, if it was pushed",
        unsaved_outputs: "newer than 'dvc.lock' and so not in DVC's cache; `dvc repro` finishes "
        "the run, `dvc commit` takes them as they are",
    }
    found = [(kind(root), words) for kind, words in kinds.items()]
    return [f"- {', '.join(names)}: {words}." for names, words in found if names]


@command()
def main(arguments: list[str] | None = None) -> None:
    """Run the command; 1 if something would be lost."""
    parser = argparse.ArgumentParser(prog="python -m feedrank.checkout.back", description=__doc__)
    parser.add_argument("--discard", action="store_true", help="lose what is nowhere else")
    go_back(Path(), parser.parse_args(arguments).discard)
    print("back at the last commit: parameters, dvc.lock, reports, data and models")


if __name__ == "__main__":
    raise SystemExit(main())
