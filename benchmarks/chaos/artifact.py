"""Change an artifact in a thousand ways; each must be refused in words, or answer as before.

    python -m benchmarks.chaos.artifact --tries 1000 --seed 0      (or, with all others: make chaos)

Half of the changes are whole again: every sha256 is that of its file, so that only content tells. A
slot of the service polls each, as a worker does: a process apart proves it, then this one loads it.
Prints tries and outcomes; exit code 1 for a failure.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedrank.artifact.artifact import Artifact
from feedrank.artifact.manifest import MANIFEST, check_files, read_manifest
from feedrank.artifact.proof import Prover
from feedrank.artifact.signature import VARIABLE, sign
from feedrank.errors import ArtifactError
from service.deployment.switch import point
from service.serving.model_slot import Slot
from tests.support.small_artifact import sign_again, small_params, write_artifact

PATIENCE = 150  # seconds of one try, more than a proof may take; then the run ends with a traceback
REQUESTS, K = 100, 5
ODD = (None, True, -1, 0, 1e308, 2**70, "", "../../x", [], {}, [[]], "9999-99-99")


@dataclass
class Row:
    """Tries of one kind of change, and how they ended."""

    name: str
    tries: int = 0
    refused: int = 0
    equal: int = 0
    other: int = 0
    failures: int = 0


def _flip(directory: Path) -> None:
    path = _any_file(directory)
    content = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 1, 16))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _flip_the_ranker(directory: Path) -> None:
    path = directory / "ranker_xgboost.json"
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] = random.randrange(256)
    path.write_bytes(content)


def _cut(directory: Path) -> None:
    path = _any_file(directory)
    os.truncate(path, random.randrange(path.stat().st_size))


def _swap(directory: Path) -> None:
    a, b = _any_file(directory), _any_file(directory)
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)


def _array(directory: Path) -> None:
    """One value of an array becomes an extreme of its type, or its shape or type another."""
    path = random.choice(sorted(directory.glob("*.npy")))
    array = np.load(path)
    change = random.randrange(4)
    if change == 0 or not array.size:
        array = array.astype(random.choice((np.float32, np.int8, np.uint64)))
    elif change == 1:
        array = array.reshape(-1)[: random.randrange(array.size)]
    else:
        is_float = array.dtype.kind == "f"
        ends = (np.nan, np.inf, -1e300) if is_float else _ends(array.dtype)
        array.reshape(-1)[random.randrange(array.size)] = random.choice(ends)
    np.save(path, array)


def _ends(dtype: np.dtype) -> tuple[int, int]:
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _json(directory: Path) -> None:
    """One value of a JSON file, the manifest's among them, becomes an odd one, or is gone."""
    path = random.choice(sorted(directory.glob("*.json")))
    whole = json.loads(path.read_text())
    within = whole
    while True:
        keys = list(within) if isinstance(within, dict) else range(len(within))
        key = random.choice(list(keys))
        if not isinstance(within[key], (dict, list)) or not within[key] or random.random() < 0.3:
            break
        within = within[key]
    if random.random() < 0.2:
        del within[key]
    else:
        within[key] = random.choice(ODD)
    path.write_text(json.dumps(whole))


def _no_plain_file(directory: Path) -> None:
    path = random.choice(sorted(directory.iterdir()))
    target = random.choice(
        (directory.parent / "kept", Path("/dev/zero"), path, Path("/etc/passwd"))
    )
    path.unlink()
    random.choice(
        (lambda: path.symlink_to(target), lambda: os.mkfifo(path), path.mkdir, lambda: None)
    )()


def _one_more(directory: Path) -> None:
    name = random.choice(("x.npy", ".hidden", "ranker.json", "fitted_rate_9.npy", "a b\n"))
    random.choice(((directory / name).mkdir, (directory / name).touch))()


def _signed_again(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Change any file but the manifest, which then gets the sha256 of all files."""

    def damage(directory: Path) -> None:
        kept = (directory / MANIFEST).read_bytes()
        (directory / MANIFEST).unlink()
        change(directory)
        (directory / MANIFEST).write_bytes(kept)
        sign_again(directory)

    return damage


CHANGES: dict[str, Callable[[Path], None]] = {
    "bits of any file": _flip,
    "a cut file": _cut,
    "two files swapped": _swap,
    "a link, a pipe, a directory, or nothing for a file": _no_plain_file,
    "one file more": _one_more,
    "an odd value in a JSON file or the manifest": _json,
    "sha256 fit: a byte of the ranker": _signed_again(_flip_the_ranker),
    "sha256 fit: bits of any file": _signed_again(_flip),
    "sha256 fit: a cut file, or two swapped": _signed_again(
        lambda d: random.choice((_cut, _swap))(d)
    ),
    "sha256 fit: an array's value, shape or type": _signed_again(_array),
    "sha256 fit: an odd value in a JSON file": _signed_again(_json),
}


def _any_file(directory: Path) -> Path:
    return random.choice([path for path in sorted(directory.iterdir()) if path.stat().st_size])


def answers(artifact: Artifact) -> list[object]:
    """Lists of some users at some moments, with the texts."""
    rng, store = np.random.default_rng(0), artifact.store
    last = store.meta.last_at
    found: list[object] = []
    for at in rng.integers(-last // 10, last + last // 10, 5).tolist():
        for user in rng.integers(0, store.meta.n_users, REQUESTS // 5).tolist():
            ranked = artifact.recommender.rank(user, at, K)
            posts = ranked.post.tolist()
            texts = [(store.text[post], store.topic[post]) for post in posts]
            found.append((store.catalogue.post_ids[posts].tolist(), texts))
    return found


def attempt(row: Row, good: Path, slot: Slot, change: Callable[[Path], None]) -> None:
    """One try: change a copy, let the slot find it, and compare lists if it serves it."""
    bad = slot.path.with_name("bad")
    shutil.copytree(good, bad)
    change(bad)
    before, row.tries = slot.current, row.tries + 1
    point(slot.path, bad)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    slot.poll()
    slot.poll()
    if slot.current is not before:
        _compare(row, before.artifact, slot.current.artifact)
        slot.current = before
    elif slot.refused is not None and slot.refused.identity[0] == str(bad):
        row.refused += 1
        if f"'{bad}" not in slot.refused.reason or not slot.refused.reason.endswith("."):
            _fail(row, f"no sentence that names the file: {slot.refused.reason}")
    elif (bad / MANIFEST).exists():
        _fail(row, "neither refused nor served")
    else:
        row.refused += 1  # without a manifest there is no artifact: the slot waits for one
    faulthandler.cancel_dump_traceback_later()
    point(slot.path, good)
    slot.poll()
    shutil.rmtree(bad)


def _compare(row: Row, before: Artifact, after: Artifact) -> None:
    try:
        is_equal = answers(before) == answers(after)
    except Exception as error:  # counted, with its reason: what was served must answer
        _fail(row, f"served, and then {type(error).__name__}: {error}")
        return
    row.equal += is_equal
    row.other += not is_equal
    if not is_equal and not row.name.startswith("sha256 fit"):
        _fail(row, "other lists")


def _fail(row: Row, words: str) -> None:
    row.failures += 1
    print(f"{row.name}: {words}", file=sys.stderr)


def signed_tries(row: Row, good: Path, tries: int) -> None:
    """The same changes with fitting sha256 where a key is set: each must be refused as unsigned."""
    bad = good.with_name("bad")
    fit = [change for name, change in CHANGES.items() if name.startswith("sha256 fit")]
    os.environ[VARIABLE] = "a key"
    sign(good / MANIFEST)
    for number in range(tries):
        shutil.copytree(good, bad)
        manifest = (bad / MANIFEST).read_bytes()
        fit[number % len(fit)](bad)
        row.tries += 1
        try:
            check_files(bad, read_manifest(bad))
        except ArtifactError:
            row.refused += 1
        else:
            row.equal += (bad / MANIFEST).read_bytes() == manifest
            if (bad / MANIFEST).read_bytes() != manifest:
                _fail(row, "taken without its signature")
        shutil.rmtree(bad)


def main() -> int:
    """Print one line for each kind of change, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.artifact")
    parser.add_argument("--tries", type=int, default=1000, help="changes in all")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    given = parser.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="feedrank-chaos-") as scratch, Prover() as prover:
        folder = Path(scratch)
        good = write_artifact(folder / "good", folder, small_params())
        point(folder / "live", good)
        slot = Slot("control", folder / "live", prover.prove)
        rows = {name: Row(name) for name in CHANGES}
        for number in range(given.tries):
            name = list(CHANGES)[number % len(CHANGES)]
            attempt(rows[name], good, slot, CHANGES[name])
        signed = Row("sha256 fit, and a key is set")
        signed_tries(signed, good, given.tries // 10)
    print("| change | tries | refused | equal lists | other lists | failures |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in [*rows.values(), signed]:
        numbers = (row.tries, row.refused, row.equal, row.other, row.failures)
        print(f"| {row.name} | {' | '.join(map(str, numbers))} |")
    return int(any(row.failures for row in [*rows.values(), signed]))


if __name__ == "__main__":
    raise SystemExit(main())
