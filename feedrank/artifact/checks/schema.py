"""Schema of an artifact: names, shapes, types and ranges, checked before anything is used.

A sha256 tells that files are those of the manifest; the schema tells that they fit each other,
whoever wrote the manifest.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from feedrank.artifact.checks.arrays import TEXT_IDS, Array, Sizes, arrays_of
from feedrank.artifact.manifest import GOLDEN, MANIFEST, REQUESTS, read_json
from feedrank.errors import ArtifactError, blaming
from feedrank.log.metadata import LogMeta
from feedrank.ranking.rankers.by_name import ranker_file, ranker_files
from feedrank.state.catalogue import Texts, are_text, plain_ids
from feedrank.state.plugins.plugin import stored_file
from feedrank.state.profiles import columns_from

STORE, FITTED = "feature_store.json", "fitted.json"
HIDDEN = "catalogue_hidden_from.npy"  # only where the source hides posts
EMBEDDING = "fitted_embedding_axes.npy"  # only where posts have embeddings


def check_schema(directory: Path, manifest: dict[str, Any]) -> None:
    """Check an artifact whose files are those of its manifest.

    Raises:
        ArtifactError: a file is missing or superfluous, or its content does not fit the others.
    """
    sizes = _read_sizes(directory, manifest)
    arrays = list(arrays_of(sizes))
    expected = {GOLDEN, STORE, FITTED, *(f"{array.name}.npy" for array in arrays)}
    expected |= {stored_file(name) for name in sizes.plugins}
    with blaming(directory / ranker_file(directory)):
        expected |= ranker_files(directory)
    for name in sorted(expected ^ (set(manifest["files"]) - {REQUESTS})):
        raise ArtifactError(
            f"'{directory / name}' is {'missing' if name in expected else 'no file of an artifact'}"
            f", by the sizes in '{STORE}' and '{FITTED}'. Export again with this code."
        )
    dimensions = {"posts": sizes.n_posts, "steps": sizes.n_steps}
    for array in arrays:
        path = directory / f"{array.name}.npy"
        with blaming(path):
            _check_header(path, array, dimensions)
    n_words = dimensions["words"]
    with blaming(directory / "fitted_words_offsets.npy"):
        _require(
            dimensions["words_by_offset"] == n_words + 1, f"not one offset a word of {n_words}"
        )
    dimensions["post_keys"] = sizes.n_segments * sizes.n_posts
    for i in range(sizes.n_refits):
        n_cells = sizes.segments_of(i) * dimensions["clusters"]
        dimensions[f"column_keys_{i}"] = sum(sizes.codes) * n_cells
    for array in arrays:
        path = directory / f"{array.name}.npy"
        with blaming(path):
            _check_values(path, array, dimensions)
    with blaming(directory):
        _check_together(directory, sizes, dimensions)


def _read_sizes(directory: Path, manifest: dict[str, Any]) -> Sizes:
    with blaming(directory / STORE):
        about = read_json(directory / STORE)
        meta, columns = LogMeta(**about["meta"]), columns_from(about["columns"])
        last = meta.moment(meta.last_at)
        meta.utc(last)  # an OverflowError near the ends of the calendar
        _require(meta.last_at >= 0 and meta.n_users > 0 and meta.n_posts > 0, "a size is below 1")
    with blaming(directory / MANIFEST):
        stated = datetime.fromisoformat(manifest["as_of"])
        _require(stated == last, f"'as_of' is {stated}, the log ends at {last}")
        window = manifest.get("like_window")
        is_one = window is None or (type(window) is int and window > 0)
        _require(is_one, "'like_window' is no whole number above 0")
    with blaming(directory / FITTED):
        fitted = read_json(directory / FITTED)
        codes = tuple(fitted["column_codes"])
        _require(codes == tuple(column.n_codes for column in columns), "'column_codes' differ")
        names = [column.name for column in columns]
        _require(fitted["column_names"] == names, "'column_names' differ from the profile columns")
        n_moments = len(fitted["moment_names"])
        _require(all(isinstance(n, str) for n in fitted["moment_names"]), "'moment_names'")
        segment = fitted["segment_column"]
        _require(isinstance(segment, int) and -1 <= segment < len(codes), "'segment_column'")
        step = fitted["step_seconds"]
        _require(isinstance(step, int) and step > 0, "'step_seconds' is no number above 0")
        meta.utc(meta.moment(meta.last_at + step))
        _check_numbers(fitted, "refits", "half_life_steps")
        _require(fitted["half_life_steps"] > 0, "'half_life_steps' is not above 0")
        first = [refit["first_step"] for refit in fitted["refits"]]
        _require(first != [] and first == sorted(first), "'refits' are not in order of time")
        _require(all(isinstance(at, int) and at >= 0 for at in first), "'first_step'")
        since = fitted["segments_since"]
        is_later = type(since) is int and segment >= 0 and since in first and since > first[0]
        _require(since == 0 or is_later, "'segments_since' is no later refit's first step")
        splits = fitted["segment_splits"]
        _check_splits(splits, codes, segment)
        own = fitted["plugins"]
        plugins, n_keys = tuple(own["modules"]), tuple(own["n_keys"])
        _require(all(name.isidentifier() for name in plugins), f"plugins are named {plugins}")
        _require(all(isinstance(n, int) and n > 0 for n in n_keys), "'n_keys'")
        _require(
            all(len(refit["strengths"]["columns"]) == len(codes) for refit in fitted["refits"]),
            "'strengths' are of other profile columns",
        )
    n_steps = meta.last_at // step + 1
    hides, has_embeddings = HIDDEN in manifest["files"], EMBEDDING in manifest["files"]
    tells = tuple(f"fitted_text_quality_{i}.npy" in manifest["files"] for i in range(len(first)))
    sizes = (meta.n_users, meta.n_posts, n_steps, tuple(first), codes, segment, since, len(splits))
    own_sizes = (n_moments, plugins, len(own["columns"]), n_keys)
    return Sizes(*sizes, hides, *own_sizes, has_embeddings, tells)


def _check_splits(splits: list[dict[str, Any]], codes: tuple[int, ...], segment: int) -> None:
    """Require that each halves the codes of another column than the segment column."""
    columns = [segment, *(split["column"] for split in splits)]
    is_known = all(type(column) is int and column < len(codes) for column in columns)
    is_once = min(columns) >= 0 and len({*columns}) == len(columns)
    _require(not splits or (is_known and is_once), f"'segment_splits' are of columns {columns}")
    for split in splits:
        half = split["half"]
        is_of_codes = len(half) == codes[split["column"]] and all(type(h) is int for h in half)
        _require(
            is_of_codes and {*half} == {0, 1},
            f"'segment_splits' holds {half}, no halves of a column's codes",
        )


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(words)


def _check_numbers(values: dict[str, Any], *keys: str) -> None:
    """Require that all leaves of some values are numbers from 0 on, or null."""
    waiting: list[Any] = [values[key] for key in keys]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
        elif value is not None:
            is_number = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
            _require(is_number, f"{value!r} is no number from 0 on")


def _check_header(path: Path, array: Array, dimensions: dict[str, int]) -> None:
    """Shape and type as expected, and as many bytes as they need."""
    with path.open("rb") as file:
        _require(np.lib.format.read_magic(file) == (1, 0), "not a .npy file of version 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        n_bytes = path.stat().st_size - file.tell()
    name = TEXT_IDS if dtype.kind == "S" and dtype.itemsize else dtype.str
    _require(name in array.types, f"it holds {dtype.str}, not {' or '.join(array.types)}")
    _require(len(shape) == len(array.shape), f"its shape is {shape}")
    for found, named in zip(shape, array.shape, strict=True):
        size = dimensions.setdefault(named, found) if isinstance(named, str) else named
        _require(found == size >= 0, f"its shape is {shape}, with {size} for {found} expected")
    _require(math.prod(shape) * dtype.itemsize == n_bytes, f"it has {n_bytes} bytes for {shape}")


def _check_values(path: Path, array: Array, dimensions: dict[str, int]) -> None:
    """Values within their range; NaN is within none."""
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ends:
        rises = values[0] == 0 and values[-1] == dimensions[array.ends]
        _require(bool(rises and (np.diff(values) >= 0).all()), "offsets do not rise to their end")
    if values.size and not are_text(values):
        high = dimensions[array.high] - 1 if isinstance(array.high, str) else array.high
        low, highest = values.min(), values.max()
        is_within = bool(low >= array.low and highest <= high)
        _require(is_within, f"values from {low} to {highest} are not within {array.low} to {high}")


def _check_together(directory: Path, sizes: Sizes, dimensions: dict[str, int]) -> None:
    """Relations of values that one range cannot say."""
    catalogue = {
        name: np.load(directory / f"catalogue_{name}.npy", mmap_mode="r")
        for name in ("user_ids", "post_ids", "codes")
    }
    for name in ("user_ids", "post_ids"):
        ids = catalogue[name]
        _require(bool((ids[1:] > ids[:-1]).all()), f"'{name}' are not sorted, each once")
        if are_text(ids):
            plain_ids(ids)  # not of UTF-8: a UnicodeDecodeError
    is_known = (catalogue["codes"] < np.array(sizes.codes, dtype=np.int64)).all()
    _require(bool(is_known), "'codes' holds a code that no profile column has")
    liked = np.load(directory / "history_liked.npy", mmap_mode="r")
    n_bytes = -(-dimensions["impressions"] // 8)
    _require(len(liked) == n_bytes, "'history_liked' has not one bit an impression")
    n_topics = int(np.load(directory / "fitted_topic.npy").max()) + 1
    n_design = n_topics + 1 + dimensions["words"] + dimensions.get("axes", 0)
    _require(dimensions["topics"] == n_topics + 1, "'topic_ratio' has not one column a topic")
    is_whole = dimensions["design"] == n_design
    _require(is_whole, "'gate' has not one row a topic, one more, and one a word and axis")
    for i in range(sizes.n_refits):
        highest = int(np.load(directory / f"fitted_word_of_post_{i}.npy").max(initial=0))
        n_words = dimensions[f"taste_words_{i}"]
        _require(highest <= n_words, f"'word_of_post_{i}' numbers word {highest} of {n_words}")
        column = np.load(directory / f"fitted_word_column_{i}.npy")
        _require(len({*column.tolist()}) == n_words, f"'word_column_{i}' holds a column twice")
    for name in ("text", "topic", "fitted_words"):
        texts = Texts.load(directory, name)
        for row in range(len(texts.offsets) - 1):
            texts[row]  # not of UTF-8: a UnicodeDecodeError
