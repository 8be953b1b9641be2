"""Embeddings of a column or a file: the same log of any type, and errors that name the post."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feedrank.errors import SchemaError
from feedrank.extraction.check.findings import check_source
from feedrank.extraction.fingerprint import refresh_fingerprint
from feedrank.extraction.postgres.connection import Source
from feedrank.log.embeddings import embeddings_of
from feedrank.log.files import Log
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, small, source_params

NAN = [np.nan] * 2
KINDS = {
    "real[]": "ARRAY[0.5, -2]::real[]",
    "double precision[]": "'{0.5,-2}'",
    "numeric[]": "'{0.50,-2}'",
    "jsonb": "'[0.5, -2]'",
    "json": "'[5e-1,-2.0]'",
    "text": "'[0.5,-2]'",
    "vector(2)": "'[0.5,-2]'",  # pgvector's own
    "halfvec(2)": "'[0.5,-2]'",
}


def _extract(database: TestDatabase, directory: Path, name: str) -> np.ndarray:
    extraction(database.url, directory, source_params(embedding=name)).run()
    return embeddings_of(Log.open(directory / "log").posts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_any_type_gives_the_same_vectors(
    database: TestDatabase, tmp_path: Path, kind: str
) -> None:
    small(database)
    database.execute(
        "CREATE EXTENSION IF NOT EXISTS vector",
        f"ALTER TABLE post_text_df ADD vector {kind}",
        f"UPDATE post_text_df SET vector = {KINDS[kind]} WHERE post_id != 20",
    )
    found = _extract(database, tmp_path, "vector")
    np.testing.assert_array_equal(found, [[0.5, -2], NAN, [0.5, -2]])


def test_a_column_that_is_missing_or_holds_no_vectors_is_refused(
    database: TestDatabase, tmp_path: Path
) -> None:
    small(database)
    database.execute("ALTER TABLE post_text_df ADD n int, ADD v real[]")
    for name, words in (
        ("none", "has no column 'none'"),
        ("n", "'n' of 'post_text_df' must hold arrays of numbers, pgvector's vectors, or JSON"),
        ("v", "no post has an embedding by 'v'"),
    ):
        with pytest.raises(SchemaError, match=words):
            _extract(database, tmp_path, name)
    database.execute("UPDATE post_text_df SET v = '{1,NaN}' WHERE post_id = 30")
    with pytest.raises(SchemaError, match=r"finite numbers.* \[30\]"):
        _extract(database, tmp_path, "v")


def test_a_check_of_the_source_names_the_column(database: TestDatabase) -> None:
    small(database)
    params = replace(DEFAULTS, source=source_params(embedding="none"))
    words = [f.words for f in check_source(Source(database.url, params.source), params)]
    assert any("has no column 'none'" in w for w in words)


def test_a_file_is_part_of_the_source(database: TestDatabase, tmp_path: Path) -> None:
    small(database)
    file = tmp_path / "vectors.parquet"
    source = Source(database.url, source_params(embedding=str(file)))

    def write(*vectors: list[float]) -> bytes:
        pd.DataFrame({"post_id": [30, 10], "embedding": vectors}).to_parquet(file)
        path, cache = tmp_path / "source.json", tmp_path / "signature.json"
        refresh_fingerprint(path, cache, source, "database", 2)
        return path.read_bytes()

    first = write([1.0, 2.0], [3.0, 4.0])
    assert write([1.0, 2.0], [3.0, 4.0]) == first
    assert write([1.0, 2.0], [3.0, 5.0]) != first
    np.testing.assert_array_equal(_extract(database, tmp_path, str(file)), [[3, 5], NAN, [1, 2]])


def test_the_example_of_the_docs_writes_a_file_that_the_extract_reads(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lengths:
        """A model that tells lengths of texts, in place of the one that the example needs."""

        @classmethod
        def load(cls, cache_dir: Path, disable_download: bool) -> Lengths:
            assert disable_download
            return cls()

        def embed(self, texts: list[str]) -> np.ndarray:
            return np.array([[len(text), 1] for text in texts], np.float32)

    small(database)
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEED_DSN", database.url)
    model = SimpleNamespace(WordLlama=Lengths, __file__=__file__)
    monkeypatch.setitem(sys.modules, "wordllama", model)
    runpy.run_path(str(ROOT / "docs" / "examples" / "embed.py"))
    found = _extract(database, tmp_path, "data/embeddings.parquet")
    np.testing.assert_array_equal(found, [[0, 1], [1, 1], [1, 1]])
