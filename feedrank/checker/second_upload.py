"""Second upload: two artifacts as an A/B test for the course's checker.

python -m feedrank.checker.second_upload models/artifact ../other/artifact
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from feedrank.artifact.artifact import Artifact
from feedrank.checker.bundle import APP, app_for, write_model
from feedrank.checker.model import Model
from feedrank.errors import ArtifactError, command
from feedrank.io.outputs import new_directory
from feedrank.params import CheckerParams, load_params
from feedrank.state.catalogue import are_text

GROUPS = ("control", "test")
END_OF_SHARED = "# Until here"
IMPORT = "from feedrank.checker.app import HERE, PostGet, best_posts, load_model\n"


def write_second_upload(
    directory: Path, control: Artifact, test: Artifact, params: CheckerParams
) -> None:
    """Write `app.py`, `model_control` and `model_test`, whole or not at all, and load both models.

    Raises:
        ArtifactError: the ids of one artifact are text and those of the other are not, or a
            ranker for older readers differs from the artifact's on a probe.
    """
    kinds = {tuple(map(are_text, (a.store.catalogue.user_ids, a.store.catalogue.post_ids)))
             for a in (control, test)}  # fmt: skip
    if len(kinds) > 1:
        raise ArtifactError(
            f"'{control.directory}' and '{test.directory}' hold ids of different kinds. Give two "
            "artifacts of one database."
        )
    with new_directory(directory) as new:
        (new / APP).write_text(app_for(control.store.catalogue, one_app()))
        for group, artifact in zip(GROUPS, (control, test), strict=True):
            write_model(new / f"model_{group}", artifact, params)
            Model.load(str(new / f"model_{group}"))


def one_app() -> str:
    """The second app with what it imports from the first one, as one file."""
    first, second = (Path(__file__).with_name(name).read_text() for name in (APP, "app_ab.py"))
    shared = first.split(END_OF_SHARED)[0].split('"""', 2)[2].strip()
    before, after = second.split(IMPORT)
    twice = [line for line in before.splitlines() if "import" in line and line in shared]
    own = "\n".join(line for line in before.splitlines() if line not in twice)
    return f"{own.rstrip()}\n{shared}\n\n\n{after.lstrip()}"


@command()
def main() -> None:
    """Write the second upload into `models/checker_ab`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("control", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--directory", type=Path, default=Path("models/checker_ab"))
    given = parser.parse_args()
    artifacts = (Artifact.load(given.control), Artifact.load(given.test))
    write_second_upload(given.directory, *artifacts, load_params().checker)
    print(f"{given.directory}: app.py, model_control and model_test")


if __name__ == "__main__":
    sys.exit(main())
