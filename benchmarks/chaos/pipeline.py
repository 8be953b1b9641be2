"""Kill every stage, and `dvc repro`, at random moments; then run to the end and compare bytes.

    make chaos        (or: python -m benchmarks.chaos.pipeline --kills 3 --repro 3 --minutes 10)

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
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from tests.support.checkout import LOCK, copy_tracked

STAGES = ("source", "extract", "features", "validate", "train", "export", "checker", "report")
DVC = (sys.executable, "-m", "dvc")
OUTPUTS = ("log", "truth", "features", "rows")  # of data/; models/ and reports/ are all outputs


@dataclass
class Row:
    """Tries of one command, and how they ended."""

    name: str
    tries: int = 0
    killed: int = 0
    failures: int = 0


def small_demo(folder: Path) -> None:
    """A copy of the checkout with a small network, run once."""
    copy_tracked(Path.cwd(), folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["demo"] |= {"users": 400, "posts": 300, "days": 30}
    params["validate"] |= {"requests": 300, "bootstrap": 200, "folds": 1}
    params["train"]["trees"] = 20
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    subprocess.run([*DVC, "init", "--no-scm", "-q"], cwd=folder, check=True)
    subprocess.run([*DVC, "repro", "-q"], cwd=folder, check=True, capture_output=True)


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


def ended(folder: Path, command: tuple[str, ...]) -> str:
    """Run a command to its end: empty, or what it said when it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stderr[-500:] if done.returncode else ""


def attempt(
    folder: Path, row: Row, broken: tuple[str, ...], whole: tuple[str, ...], seconds: float
) -> None:
    """One try: kill at a moment within the usual time, run to the end, compare all outputs."""
    before, lock = digests(folder), (folder / LOCK).read_bytes()
    row.tries += 1
    row.killed += killed(folder, broken, random.uniform(0, seconds))
    words = ended(folder, whole)
    if words or digests(folder) != before or (folder / LOCK).read_bytes() != lock:
        row.failures += 1
        print(f"{row.name}: {words or 'other bytes'}", file=sys.stderr)
        (folder / LOCK).write_bytes(lock)
        shutil.rmtree(folder / "data" / "log", ignore_errors=True)
        subprocess.run([*DVC, "checkout", "--force", "-q"], cwd=folder, check=False)


def main() -> int:
    """Print one line for each command, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.pipeline")
    parser.add_argument("--kills", type=int, default=10, help="of each stage")
    parser.add_argument("--repro", type=int, default=40, help="kills of `dvc repro --force`")
    parser.add_argument("--minutes", type=float, default=30, help="after which no try begins")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    random.seed(given.seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="feedrank-chaos-") as scratch:
        folder = Path(scratch)
        small_demo(folder)
        until = time.monotonic() + 60 * given.minutes
        stages = {name: (sys.executable, "-m", f"stages.{name}") for name in STAGES}
        repro = (*DVC, "repro", "-q", "--force")
        plan = [(name, command, command, given.kills) for name, command in stages.items()]
        plan.append(("dvc repro", repro, (*DVC, "repro", "-q"), given.repro))
        for name, broken, whole, n in [
            *plan,
            ("dvc repro", repro, (*DVC, "repro", "-q"), given.repro),
        ]:
            rows.append(Row(name))
            since = time.monotonic()
            ended(folder, broken)
            seconds = time.monotonic() - since
            while rows[-1].tries < n and time.monotonic() < until:
                attempt(folder, rows[-1], broken, whole, seconds)
    print("| command | tries | killed before its end | failures |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| `{row.name}` | {row.tries} | {row.killed} | {row.failures} |")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
