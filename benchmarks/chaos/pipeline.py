"""Kill every stage, and `dvc repro`, at random moments; then run to the end and compare bytes.

    make chaos        (or: python -m benchmarks.chaos.pipeline --full)

Works on a small demo in a scratch folder. Prints tries and failures; exit code 1 for a failure.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from benchmarks.chaos.scene import counts
from tests.support.checkout import LOCK, copy_tracked

STAGES = ("source", "extract", "features", "validate", "train", "export", "checker", "report")
DVC = (sys.executable, "-m", "dvc")
MEND = (sys.executable, "-m", "feedrank.checkout.mend")
AUTHOR = ("-c", "user.name=chaos", "-c", "user.email=chaos@localhost")
# Option: tries of the usual run, which takes minutes, and of the full one.
COUNTS = {
    "kills": (2, 10),  # of each stage but extract
    "extract": (4, 100),
    "database": (2, 20),
    "repro": (2, 40),
    "minutes": (10, 90),  # after which no try begins
    "seed": (0, 0),  # of the moments
}
DATABASE = "extract, its PostgreSQL killed"
PATIENCE = 120.0  # seconds for a command to see that its database is gone
OUTPUTS = ("log", "truth", "features", "rows")  # of data/; models/ and reports/ are all outputs


@dataclass
class Row:
    """Tries of one command, and how they ended.

    Attributes:
        name: in the table.
        broken: the command that is killed.
        whole: the commands that then run to their end.
        most: tries.
    """

    name: str
    broken: tuple[str, ...]
    whole: tuple[tuple[str, ...], ...]
    most: int
    tries: int = 0
    killed: int = 0
    failures: int = 0


def small_demo(folder: Path) -> None:
    """A copy of the checkout with a small network, run once."""
    copy_tracked(Path.cwd(), folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["demo"] |= {"users": 200, "posts": 200, "days": 30}
    params["validate"] |= {"requests": 300, "bootstrap": 200, "folds": 1}
    params["train"]["trees"] = 20
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    subprocess.run([*DVC, "init", "--no-scm", "-q"], cwd=folder, check=True)
    subprocess.run([*DVC, "repro", "-q"], cwd=folder, check=True, capture_output=True)
    # A lock that is cut off is mended from the last commit.
    for command in (["init", "-q"], ["add", "-f", str(LOCK)], [*AUTHOR, "commit", "-qm", "lock"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def digests(folder: Path) -> dict[str, str]:
    """Hash of every file of the outputs, and of nothing that a killed run may leave beside them."""
    roots = [*(folder / "data" / name for name in OUTPUTS), folder / "models", folder / "reports"]
    paths = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def killed(folder: Path, command: tuple[str, ...], after: float) -> bool:
    """Run a command and kill it with all that it started; whether it still ran by then."""
    run = subprocess.Popen(
        command, cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        run.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return True
    return False


def database_killed(folder: Path, command: tuple[str, ...], after: float) -> bool:
    """Run a command and kill its PostgreSQL; whether it ran. The command must end in words."""
    run = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    time.sleep(after)
    pids = [int(file.read_text().split()[0]) for file in (folder / "data").rglob("postmaster.pid")]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    said, _ = run.communicate(timeout=PATIENCE)
    assert "Traceback" not in said, said
    return bool(pids)


def ended(folder: Path, *commands: tuple[str, ...]) -> str:
    """Run commands to their end: empty, or what the first one said that failed."""
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            return done.stderr[-500:] or f"exit code {done.returncode}"
    return ""


def attempt(folder: Path, row: Row, seconds: float) -> None:
    """One try: kill at a moment within the usual time, run to the end, compare all outputs."""
    before, lock = digests(folder), (folder / LOCK).read_bytes()
    row.tries += 1
    kill = database_killed if row.name == DATABASE else killed
    row.killed += kill(folder, row.broken, random.uniform(0, seconds))
    words = ended(folder, *row.whole)
    if words or digests(folder) != before or (folder / LOCK).read_bytes() != lock:
        row.failures += 1
        print(f"{row.name}: {words or 'other bytes'}", file=sys.stderr)
        (folder / LOCK).write_bytes(lock)
        shutil.rmtree(folder / "data" / "log", ignore_errors=True)
        subprocess.run([*DVC, "checkout", "--force", "-q"], cwd=folder, check=False)


def plan(given: argparse.Namespace) -> list[Row]:
    """Every stage, and `dvc repro` with the mending of its lock that `make demo` does."""
    stages = {name: (sys.executable, "-m", f"stages.{name}") for name in STAGES}
    counts = dict.fromkeys(STAGES, given.kills) | {"extract": given.extract}
    rows = [Row(name, run, (run,), counts[name]) for name, run in stages.items()]
    extract, repro = stages["extract"], (*DVC, "repro", "-q")
    rows.append(Row(DATABASE, extract, (extract,), given.database))
    return [*rows, Row("dvc repro", (*repro, "--force"), (MEND, repro), given.repro)]


def tried(folder: Path, row: Row, until: float) -> Row:
    """All tries of a row; none begins after `until`."""
    since = time.monotonic()
    ended(folder, row.broken)
    seconds = time.monotonic() - since
    while row.tries < row.most and time.monotonic() < until:
        attempt(folder, row, seconds)
    print(f"{row.name}: {row.tries} tries, {row.failures} failures", file=sys.stderr)
    return row


def main() -> int:
    """Print one line for each command, as Markdown."""
    given = counts("benchmarks.chaos.pipeline", COUNTS)
    random.seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="feedrank-chaos-") as scratch:
        folder = Path(scratch)
        small_demo(folder)
        until = time.monotonic() + 60 * given.minutes
        rows = [tried(folder, row, until) for row in plan(given) if row.most]
    print("| command | tries | killed before its end | failures |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.name} | {row.tries} | {row.killed} | {row.failures} |")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
