"""Hostile artifacts: whoever wrote the manifest, content that does not fit is refused in words."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from feedrank.artifact import proof
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.checks.trees import OF_NODES, check_trees
from feedrank.artifact.manifest import MANIFEST
from feedrank.artifact.proof import Prover, UnprovedError, prove_once
from feedrank.artifact.signature import VARIABLE, sign
from feedrank.errors import ArtifactError
from feedrank.ranking.rankers.xgboost_ranker import FILE, XGBoostRanker
from tests.support.small_artifact import CODE, edit_manifest, kill_its_reader, sign_again

pytest_plugins = ("tests.support.service_fixtures",)
Damage = Callable[[Path], Any]


@pytest.fixture
def copy(artifact_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact_path, tmp_path / "artifact"))


def _pipe(directory: Path) -> None:
    (directory / "text_blob.npy").unlink()
    os.mkfifo(directory / "text_blob.npy")


def _pipe_for_a_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink()
    os.mkfifo(directory / MANIFEST)


def _link(directory: Path) -> None:
    shutil.move(directory / "text_blob.npy", directory.parent / "text_blob.npy")
    (directory / "text_blob.npy").symlink_to("../text_blob.npy")


def _path_that_leads_out(directory: Path) -> None:
    names = json.loads((directory / MANIFEST).read_text())["files"]
    edit_manifest(directory, files={**names, "../../etc/passwd": "0"})


def _endless_manifest(directory: Path) -> None:
    with (directory / MANIFEST).open("r+b") as file:
        file.truncate(1 << 40)


FILES: dict[str, tuple[Damage, str]] = {
    "a pipe": (_pipe, r"text_blob.npy' is a link, a directory or a pipe.*Copy"),
    "a pipe for a manifest": (_pipe_for_a_manifest, r"manifest.json' is no plain file"),
    "a link": (_link, r"text_blob.npy' is a link"),
    "a directory": (lambda d: (d / "more").mkdir(), r"more' is a link, a directory"),
    "an extra file": (lambda d: (d / "a.npy").touch(), r"a.npy' is not in 'manifest.json'"),
    "a path that leads out": (_path_that_leads_out, r"passwd' is missing"),
    "an endless manifest": (_endless_manifest, r"no plain file of at most"),
    "a list for a manifest": (lambda d: (d / MANIFEST).write_text("[]"), r"is not whole"),
    "files in a list": (lambda d: edit_manifest(d, files=[]), r"lacks 'files'"),
    "a deep manifest": (
        lambda d: (d / MANIFEST).write_text("[" * 10**5),
        r"manifest.json' is not whole",
    ),
    "as_of no moment": (
        lambda d: edit_manifest(d, as_of="../../x"),
        r"manifest.json' cannot be read \(ValueError.*Copy",
    ),
    "a like window in words": (
        lambda d: edit_manifest(d, like_window="1h"),
        r"'like_window' is no whole number above 0",
    ),
    "another as_of": (lambda d: edit_manifest(d, as_of="2031-01-01"), r"the log ends at 2021"),
}


@pytest.mark.parametrize("damage", FILES)
def test_files_that_are_not_those_of_an_artifact_are_refused(copy: Path, damage: str) -> None:
    harm, words = FILES[damage]
    harm(copy)
    with pytest.raises(ArtifactError, match=words):
        Artifact.load(copy)


def _array(name: str, change: Callable[[np.ndarray], Any]) -> Damage:
    """Change an array in place, or to what comes back."""

    def damage(directory: Path) -> None:
        path = directory / f"{name}.npy"
        array = np.load(path)
        changed = change(array)
        np.save(path, array if changed is None else changed)

    return damage


def _json(name: str, change: Callable[[Any], Any]) -> Damage:
    def damage(directory: Path) -> None:
        value = json.loads((directory / name).read_text())
        change(value)
        (directory / name).write_text(json.dumps(value))

    return damage


def _pickled(directory: Path) -> None:
    np.save(directory / "text_blob.npy", np.array([{}], dtype=object))


def _cut(directory: Path) -> None:
    path = directory / "history_post.npy"
    path.write_bytes(path.read_bytes()[:-1])


def _tree_that_leaves_itself(directory: Path) -> None:
    path = directory / FILE
    model = json.loads(path.read_text())
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"] = [1_048_575 if child < 0 else child for child in tree["left_children"]]
    path.write_text(json.dumps(model))


CONTENT: dict[str, tuple[Damage, str]] = {
    "a pickle": (_pickled, r"text_blob.npy' cannot be read \(ValueError: it holds \|O"),
    "a cut array": (_cut, r"history_post.npy' cannot be read \(ValueError: it has \d+ bytes"),
    "another type": (
        _array("history_post", lambda a: a.astype(np.float32)),
        r"history_post.npy' cannot be read \(ValueError: it holds <f4",
    ),
    "another shape": (
        _array("catalogue_codes", lambda a: a[:-1]),
        r"catalogue_codes.npy' .*its shape is \(399, \d+\), with 400",
    ),
    "a post that is not there": (
        _array("history_post", lambda a: a.__setitem__(7, 300)),
        r"history_post.npy' .*values from 0 to 300 are not within 0 to 299",
    ),
    "a step after the end": (
        _array("history_step", lambda a: a.__setitem__(7, 200)),
        r"history_step.npy' .*to 200 are not within",
    ),
    "a key that is not there": (
        _array("by_post_key", lambda a: a.__setitem__(7, 2**31)),
        r"by_post_key.npy' .*are not within",
    ),
    "a cluster that is not there": (
        _array("fitted_cluster_0", lambda a: a.__setitem__(7, 6)),
        r"fitted_cluster_0.npy' .*to 6 are not within 0 to 5",
    ),
    "a taste word that is not there": (
        _array("fitted_word_of_post_0", lambda a: np.ones((1, a.shape[1]), np.uint8)),
        r"\(ValueError: 'word_of_post_0' numbers word 1 of 0",
    ),
    "offsets that fall": (
        _array("history_offsets", lambda a: a.__setitem__(7, 0)),
        r"history_offsets.npy' .*offsets do not rise",
    ),
    "offsets beyond the end": (
        _array("text_offsets", lambda a: a.__setitem__(-1, a[-1] + 1)),
        r"text_offsets.npy' .*offsets do not rise to their end",
    ),
    "a rate of NaN": (
        _array("fitted_rate_0", lambda a: a.__setitem__((0, 0), np.nan)),
        r"fitted_rate_0.npy' .*values from nan",
    ),
    "users out of order": (
        _array("catalogue_user_ids", lambda a: a[::-1].copy()),
        r"'user_ids' are not sorted",
    ),
    "a profile code that no column has": (
        _array("catalogue_codes", lambda a: a.__setitem__((3, 0), 999)),
        r"holds a code that no profile column has",
    ),
    "a text that is no UTF-8": (
        _array("text_blob", lambda a: a.__setitem__(0, 255)),
        r"cannot be read \(UnicodeDecodeError",
    ),
    "a store of other keys": (
        _json("feature_store.json", lambda v: v["meta"].update(x=1)),
        r"feature_store.json' cannot be read \(TypeError",
    ),
    "a step of no length": (
        _json("fitted.json", lambda v: v.update(step_seconds=0)),
        r"fitted.json' cannot be read \(ValueError: 'step_seconds'",
    ),
    "a strength in words": (
        _json("fitted.json", lambda v: v["refits"][0]["strengths"].update(user="strong")),
        r"fitted.json' cannot be read \(ValueError: 'strong' is no number",
    ),
    "a refit too many": (
        _json("fitted.json", lambda v: v["refits"].append(v["refits"][-1])),
        r"npy' is missing, by the sizes in",
    ),
    **{
        f"segments since {since!r}": (
            _json("fitted.json", lambda v, since=since: v.update(segments_since=since)),
            r"fitted.json' cannot be read \(ValueError: 'segments_since' is no later refit's",
        )
        for since in (-1, True, 1, 7, 10**30, "9")
    },
    **{
        f"a split {words}": (
            _json("fitted.json", lambda v, split=split: v.update(segment_splits=[split])),
            r"fitted.json' cannot be read \(\w+: '(segment_splits' |half'|column')",
        )
        for words, split in {
            "of no column": {"column": 99, "half": [0, 1]},
            "of the segment column": {"column": 0, "half": [0, 1] * 2},
            "of a column below": {"column": -1, "half": [0, 1]},
            "of too few codes": {"column": 1, "half": [0, 1]},
            "of one half": {"column": 1, "half": [1, 1, 1]},
            "of thirds": {"column": 1, "half": [0, 1, 2]},
            "without halves": {"column": 1},
        }.items()
    },
    "a tree that leaves itself": (
        _tree_that_leaves_itself,
        rf"{FILE}' cannot be read \(ValueError: tree 0 does not hang together",
    ),
    "no golden request": (
        _json("golden.json", lambda v: v.clear()),
        r"golden.json' cannot be read \(ValueError: it holds 0 requests",
    ),
    "a golden request of nobody": (
        _json("golden.json", lambda v: v[0].update(user=-1)),
        r"golden.json' cannot be read \(ValueError: a request is of user -1",
    ),
    "a file that no artifact has": (
        lambda d: (d / "x.npy").touch(),
        r"x.npy' is no file of an artifact",
    ),
}


@pytest.mark.parametrize("damage", CONTENT)
def test_content_that_does_not_fit_is_refused_though_its_sha256_does(
    copy: Path, damage: str
) -> None:
    harm, words = CONTENT[damage]
    harm(copy)
    sign_again(copy)
    with pytest.raises(ArtifactError, match=words):
        Artifact.load(copy)


def _forged(**tree: list[float]) -> dict[str, Any]:
    """A model whose one tree says what a test wants."""
    whole = {
        "left_children": [1, -1, -1], "right_children": [2, -1, -1],
        "split_indices": [0, 0, 0], "split_type": [0, 0, 0], "default_left": [0, 0, 0],
        "split_conditions": [0.5, 0.1, 0.2], "sum_hessian": [3.0, 2.0, 1.0],
    } | tree  # fmt: skip
    booster = {"name": "gbtree", "model": {"trees": [whole]}}
    return {"learner": {"gradient_booster": booster, "feature_names": ["x"]}}


def test_a_tree_that_hangs_together_is_taken(artifact: Artifact) -> None:
    check_trees(_forged())
    check_trees(artifact.recommender.ranker.model)


@pytest.mark.parametrize(
    "tree",
    [
        {"left_children": [0, -1, -1]},  # a circle, in which a prediction never ends
        {"right_children": [1, -1, -1]},
        {"right_children": [99, -1, -1]},
        {"right_children": [-1, -1, -1]},
        {"split_indices": [1, 0, 0]},
        {"split_type": [1, 0, 0]},
        {"split_conditions": [float("nan"), 0.1, 0.2]},
        {"sum_hessian": [float("inf"), 2, 1]},
        {"right_children": [2, 1, -1]},  # a leaf's
        {"split_indices": [0, 10**9, 0]},
        *({name: [0]} for name in (*OF_NODES, "left_children")),
    ],
)
def test_a_tree_that_leaves_itself_or_goes_round_is_refused(tree: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="tree 0 does not hang together"):
        check_trees(_forged(**tree))


def test_a_file_that_kills_xgboost_is_refused_by_a_process_apart(
    copy: Path, tmp_path: Path
) -> None:
    kill_its_reader(copy)
    code = "from feedrank.ranking.rankers.by_name import load_ranker; from pathlib import Path\n"
    code += f"load_ranker(Path({str(copy)!r})).booster"
    died = subprocess.run([sys.executable, "-c", code], cwd=CODE, capture_output=True)

    with pytest.raises(ArtifactError, match=r"ended the process that loaded it \(SIG\w+\).*Fetch"):
        prove_once(copy, tmp_path / "state")

    assert died.returncode < 0  # it does kill whoever loads it


@pytest.mark.parametrize(
    "harm",
    [
        lambda _, trees: trees[0].update(
            categories_nodes=[0], categories_segments=[0], categories_sizes=[10**9]
        ),
        lambda model, _: model["learner"]["learner_model_param"].update(num_target="3"),
        lambda model, _: model["learner"]["objective"].update(name="reg:squarederror"),
        lambda model, _: model["learner"].update(feature_types={}),
        lambda model, _: model.update(version="1"),
    ],
    ids=["kills it", "of three outputs", "of another objective", "no list", "no version"],
)
def test_a_ranker_that_only_many_rows_have_xgboost_read_is_tried_by_it(
    copy: Path, tmp_path: Path, harm: Callable[..., Any]
) -> None:
    model = json.loads((copy / FILE).read_text())
    harm(model, model["learner"]["gradient_booster"]["model"]["trees"])
    (copy / FILE).write_text(json.dumps(model))
    sign_again(copy)
    Artifact.load(copy)  # in which lists are short
    with pytest.raises(ArtifactError) as refused:
        prove_once(copy, tmp_path / "state")
    assert f"'{copy}" in (words := str(refused.value))
    assert FILE in words
    assert words.endswith(".")
    assert "Stack trace" not in words
    assert len(words) < 600


def test_features_of_any_kind_are_named(copy: Path) -> None:
    edit_manifest(copy, features=[1, 2])
    with pytest.raises(ArtifactError, match="other features: it alone has 1, 2; this code alone"):
        Artifact.load(copy)


def test_one_process_proves_many_and_says_why_not(artifact_path: Path, copy: Path) -> None:
    (copy / "golden.json").unlink()
    with Prover() as prover:
        prover.prove(artifact_path)
        with pytest.raises(ArtifactError, match=r"golden.json' is missing"):
            prover.prove(copy)
        prover.prove(artifact_path)


def test_a_load_that_never_ends_is_refused(
    artifact_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forever(_: Path) -> None:
        os.kill(os.getpid(), signal.SIGALRM)  # the alarm, before its time

    monkeypatch.setattr(Artifact, "load", forever)
    assert "was not loaded within" in str(proof._answer(artifact_path))


@pytest.mark.parametrize(
    ("killed_by", "kind"), [("SIGKILL", UnprovedError), ("SIGSYS", ArtifactError)]
)
def test_a_kill_from_outside_says_nothing_against_an_artifact(
    artifact_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    killed_by: str,
    kind: type[ArtifactError],
) -> None:
    number = getattr(signal, killed_by)
    monkeypatch.setattr(Artifact, "load", lambda _: os.kill(os.getpid(), number))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{json.dumps(str(artifact_path))}\n"))
    proof.main()
    prover = Prover()
    prover._process = SimpleNamespace(
        stdin=io.StringIO(), stdout=io.StringIO(capsys.readouterr().out)
    )
    with pytest.raises(ArtifactError, match="process that") as refused:
        prover.prove(artifact_path)
    assert type(refused.value) is kind


class Noting:
    """Stands for a `Prover`, and notes what it is asked about."""

    def __init__(self, proved: list[Path]) -> None:
        self.prove = proved.append

    def __enter__(self) -> Noting:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_equal_content_is_proved_once(
    artifact_path: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved: list[Path] = []
    monkeypatch.setattr(proof, "Prover", lambda: Noting(proved))

    prove_once(artifact_path, tmp_path / "state")
    prove_once(copy, tmp_path / "state")
    edit_manifest(copy, params="other")
    prove_once(copy, tmp_path / "state")

    assert proved == [artifact_path, copy]


def test_what_was_proved_is_still_compared_with_its_manifest(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "Prover", lambda: Noting([]))
    prove_once(copy, tmp_path / "state")
    (copy / "text_blob.npy").write_bytes(b"x")

    with pytest.raises(ArtifactError, match="sha256 differs"):
        prove_once(copy, tmp_path / "state")


def test_with_a_key_only_what_it_signed_is_loaded(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "key of the team\n")
    with pytest.raises(ArtifactError, match=r"manifest.sig' is missing, and FEEDRANK_SIGNING_KEY"):
        Artifact.load(copy)

    sign(copy / MANIFEST)
    Artifact.load(copy)
    monkeypatch.setenv(VARIABLE, "key of the team")
    Artifact.load(copy)

    edit_manifest(copy, params="other")
    with pytest.raises(ArtifactError, match="is not this manifest's signature") as refused:
        Artifact.load(copy)
    assert "key of the team" not in str(refused.value)
    sign(copy / MANIFEST)
    monkeypatch.setenv(VARIABLE, "another key")
    with pytest.raises(ArtifactError, match="is not this manifest's signature"):
        Artifact.load(copy)
    monkeypatch.delenv(VARIABLE)
    Artifact.load(copy)  # without a key nobody asks
    assert XGBoostRanker.load(copy)
