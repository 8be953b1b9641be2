"""Own features: counted as of the step, carried by the artifact, refused with a reason."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedrank.artifact.artifact import Artifact
from feedrank.checker.bundle import write_bundle
from feedrank.errors import ArtifactError, FeedrankError, SchemaError, blaming
from feedrank.features.row_pass import training_rows
from feedrank.features.spec import features_of
from feedrank.io.files import sha256_of
from feedrank.learning.own_plugins import own_plugins
from feedrank.ranking.explanations import explain
from feedrank.state.fitted import FittedParameters
from feedrank.state.plugins.pairs import Pairs
from feedrank.state.plugins.plugin import Plugin, Posts
from feedrank.state.plugins.plugins import Plugins
from feedrank.stats.shrinkage import as_feature, base_rate
from tests.support.course.bundles import EVERYTHING, something_to_play, write_artifact
from tests.support.course.trial import lists_of_the_service, play
from tests.support.simulated_logs import DAY, HOUR, plugged, simulated, workers

USER, AT = 4, 18 * DAY + 7 * HOUR
POSTS = Posts([5, 10], ["a b", "c"], ["x", "y"])


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return write_artifact(tmp_path_factory.mktemp("plugged"), plugged())


def _column(name: str) -> np.ndarray:
    recommender = plugged().recommender
    found = recommender.matrix(USER, AT, np.arange(plugged().log.meta.n_posts))
    return found[:, [f.name for f in recommender.features].index(name)]


def _band() -> np.ndarray:
    return np.array([min(len(text) // 200, 3) for text in plugged().log.posts["text"]])


def _log_rate(liked: np.ndarray, shown: np.ndarray) -> np.ndarray:
    return as_feature(np.log(base_rate(liked, shown)))


def test_a_stateless_feature_is_the_post_s_own_number() -> None:
    words = plugged().log.posts["text"].str.split().str.len()
    np.testing.assert_array_equal(_column("n_words"), as_feature(np.log1p(words)))


def test_a_count_by_own_keys_holds_what_came_before_the_step() -> None:
    rows = plugged().log.bucket(0), plugged().log.bucket(1)
    liked, shown = (
        sum(
            np.bincount(_band()[b.post], w(b) * ((b.at // DAY < 18) & (b.at // HOUR % 24 == 7)), 4)
            for b in rows
        )
        for w in (lambda b: b.liked, lambda b: 1)
    )
    expected = _log_rate(liked, shown)[_band()]
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(_column("hour_band"), expected)


def test_a_user_s_count_holds_the_user_s_own_before_the_step() -> None:
    b = next(b for b in plugged().log.buckets() if (b.user == USER).any())
    own = b[(b.user == USER) & (b.at // DAY < 18)]
    liked, shown = (np.bincount(_band()[own.post], w, 4) for w in (own.liked, None))
    np.testing.assert_array_equal(_column("own_band"), _log_rate(liked, shown)[_band()])


def test_explanations_have_the_plugin_s_words(artifact: Artifact) -> None:
    ranked = artifact.recommender.rank(USER, AT, 5)
    reasons = explain(artifact.recommender, USER, AT, ranked)
    assert reasons.words[-3:] == ("a long text", "liked at this hour", "this length")


def test_the_source_is_a_file_of_the_artifact_and_no_byte_of_it_may_change(
    artifact: Artifact,
) -> None:
    path = artifact.directory / "plugin_reading.py"
    source = Path("plugins/features/reading.py").read_bytes()
    assert path.read_bytes() == source
    assert artifact.manifest["files"]["plugin_reading.py"] == sha256_of(path)
    path.write_bytes(source + b"\n")
    with pytest.raises(ArtifactError, match="sha256 differs"):
        Artifact.load(artifact.directory)
    path.write_bytes(source)


def test_the_bundle_answers_with_the_plugin_and_without_its_folder(
    artifact: Artifact, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "checker", artifact, EVERYTHING)
    given = something_to_play(artifact, 60)
    found = play(Path(sys.executable), tmp_path / "checker", given, tmp_path / "empty")
    assert found["difference"] == 0
    assert found["lists"] == lists_of_the_service(artifact.directory, given["requests"])


COUNTED = """from feedrank.state.plugins.plugin import Count
COUNTS = {'c': Count(lambda pairs: pairs.hour, """
FEATURE = """from feedrank.features.feature import Feature
FEATURES = [Feature("""
AUTHORS = "USER_COUNTS = ['a']\nPOSTS = {'a': lambda posts"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "there is no"),
        ("import pandas", "imports \\['pandas'\\]"),
        ("def", "is not Python"),
        ("POSTS = {'a': lambda posts: [1.0]}", "one finite number for each of 2"),
        ("POSTS = {'a': lambda posts: [1.0, float('nan')]}", "no number somewhere"),
        ("POSTS = {'a': lambda posts: posts.author}", "fails \\(AttributeError"),
        ("FEATURE = [1]", "declares none of"),
        ("FEATURES = ['a']", "FEATURES of plugin 'mine' holds 'a': no Feature"),
        ("1 / 0", "plugin 'mine' fails \\(ZeroDivisionError: .*\\) in line 1 of 'mine.py'"),
        ("POSTS = {'a': 3}", "column 'a' of plugin 'mine' fails \\(TypeError"),
        ("from . import again", "imports a neighbour, by 'from . import again'. A module is one"),
        ("from .again import x", "imports a neighbour"),
        ("COUNTS = {'c': lambda pairs: pairs.hour}", "'c' of plugin 'mine' is no Count"),
        (f"{COUNTED}'24')}}", "'c' of plugin 'mine' has 'n_keys' '24'. Write a whole number"),
        (f"{COUNTED}0)}}", "has 'n_keys' 0"),
        (f"{FEATURE}3, len, 'words', None)]", "feature 3 of plugin 'mine' has no name"),
        (f"{FEATURE}'a[0]', len, 'words', None)]", "has no name that trees take"),
        (f"{FEATURE}'f', 3, 'words', None)]", "feature 'f' of plugin 'mine' reads by 3"),
        (f"{FEATURE}'f', len, 3, None)]", "has the words 3. Write a text"),
        (f"{FEATURE}'f', len, 'words', 'heavy')]", "has the weight 'heavy'. Write 0, 1 or None"),
        (f"{FEATURE}'f', len, 'words', 0, group=3)]", "has the group 3. Write a text"),
        ("USER_COUNTS = ['a']", "of plugin 'mine' names 'a', which no plugin has"),
        (f"{AUTHORS}: [-1, 2]}}", "values are -1 to 2"),
        (f"{AUTHORS}: [0.5, 2]}}", "whole and below 1,000"),
        (f"{AUTHORS}: [10**9, 2]}}", "values are 2 to 1e\\+09"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused(
    source: str | None, words: str, tmp_path: Path
) -> None:
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    table = plugged().log.posts[:2]
    with pytest.raises(FeedrankError, match=words):
        own_plugins(["mine"], table, tmp_path)


def _fitted(source: str) -> FittedParameters:
    """The parameters of a log, with the plugin 'author'."""
    log, fitted = simulated().log, simulated().store.fitted
    posts = Posts(*(log.posts[name].tolist() for name in ("post_id", "text", "topic")))
    return replace(fitted, plugins=Plugins.of([Plugin("author", source)], posts))


def _pairs(fitted: FittedParameters) -> Pairs:
    rows = np.arange(4)
    return Pairs(fitted, simulated().store.catalogue.codes, rows, rows, rows * HOUR)


@pytest.mark.parametrize(
    ("read", "weight", "words"),
    [
        ("q.counts('nope')", None, r"fails \(KeyError: 'nope'\) in line 2 of 'author.py'"),
        ("q.profile('nope')", None, r"fails \(ValueError: there is no profile column 'nope'"),
        ("np.zeros(len(q.post) + 1)", None, r"returns float64 of shape .* Return one number"),
        ("'a'", None, "returns <U1 of shape"),
        ("np.where(q.post == 3, np.nan, 1)", 0.0, r"in 3 of 704 pairs, and its weight is 0.0"),
        ("np.where(q.post == 3, np.inf, np.nan)", None, "no finite number in 3 of 704 pairs"),
        ("1e300", 1.0, r"in (\d+) of \1 pairs, and its weight is 1.0. Fill them"),
    ],
)
def test_what_no_ranker_can_read_is_an_error_that_names_the_feature(
    read: str, weight: float | None, words: str
) -> None:
    of = simulated()
    fitted = _fitted(f"import numpy as np; {FEATURE}'f1', lambda q: {read}, 'it', {weight})]")
    store = replace(of.store, fitted=fitted)
    words = f"^feature 'f1' of plugin 'author' .*{words}"
    with workers(1), pytest.raises(SchemaError, match=words):
        training_rows(of.log, store, of.params)


def test_a_feature_of_trees_alone_may_be_missing() -> None:
    of = simulated()
    store = replace(
        of.store, fitted=_fitted(f"{FEATURE}'f1', lambda q: float('nan'), 'it', None)]")
    )
    with workers(1):
        rows = training_rows(of.log, store, of.params)
    assert np.isnan(rows.matrix[:, -1]).all()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"{COUNTED}3)}}", "keys from 0 to 3, and its 'n_keys' is 3"),
        (f"{COUNTED}24)}}".replace("pairs.hour", "-pairs.hour"), "keys from -3 to 0"),
        (f"{COUNTED}24)}}".replace("pairs.hour", "pairs.profile('nope')"), "fails .ValueError: th"),
        (
            f"{COUNTED}24)}}".replace("pairs.hour", "0"),
            r"keys of shape \(\) for pairs of shape \(4",
        ),
    ],
)
def test_keys_that_cannot_be_counted_by_are_an_error_that_names_the_count(
    source: str, words: str
) -> None:
    fitted = _fitted(source)
    with pytest.raises(SchemaError, match=f"^count 'c' of plugin 'author' .*{words}"):
        fitted.plugins.counts["c"].keys(_pairs(fitted))


def test_an_own_feature_that_has_the_name_of_another_is_refused() -> None:
    twice = "Feature('f', len, 'words', None), Feature('f', len, 'words', None)]"
    for source in (f"{FEATURE}'post_logit', len, 'words', None)]", FEATURE[:-8] + twice):
        with pytest.raises(SchemaError, match=r"'(post_logit|f)' of plugin 'author' has the name"):
            features_of(_fitted(source))


def test_two_plugins_do_not_share_a_name() -> None:
    source = "POSTS = {'a': lambda posts: [1.0, 2.0]}"
    with pytest.raises(SchemaError, match="'one' and 'two' both declare 'a' among their POSTS"):
        Plugins.of([Plugin("one", source), Plugin("two", source)], POSTS)


def test_an_artifact_whose_own_feature_fails_is_refused(tmp_path: Path) -> None:
    words = r"cannot be read \(SchemaError: feature 'f1'"
    with pytest.raises(ArtifactError, match=words), blaming(tmp_path):
        raise SchemaError("feature 'f1' of plugin 'author' fails.")


def test_a_plugin_that_declares_other_than_was_stored_is_refused(
    tmp_path: Path, artifact: Artifact
) -> None:
    artifact.store.fitted.plugins.save(tmp_path)
    about = artifact.store.fitted.plugins.about()
    assert Plugins.load(tmp_path, about).about() == about
    with pytest.raises(ValueError, match="was stored"):
        Plugins.load(tmp_path, {**about, "n_keys": [7]})
