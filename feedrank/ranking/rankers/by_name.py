"""Rankers by name: shipped ones, and own ones of the folder `plugins/rankers`."""

from __future__ import annotations

import copyreg
import json
from pathlib import Path
from typing import Any, Callable

from feedrank.errors import ArtifactError, ParamsError, SchemaError
from feedrank.io.arrays import Place
from feedrank.ranking.rankers.learned import FILE, SOURCE, LearnedRanker, files_of
from feedrank.ranking.rankers.lightgbm_ranker import LightGbmBinary, LightGbmRank
from feedrank.ranking.rankers.ranker import Ranker
from feedrank.ranking.rankers.sequence import SequenceRanker
from feedrank.ranking.rankers.xgboost_ranker import FILE as XGBOOST_FILE
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.state.plugins.plugin import Plugin, read_plugin

PLUGINS = Path("plugins/rankers")
# Learned rankers that are shipped; each imports its library where it needs it.
SHIPPED: dict[str, type[LearnedRanker]] = {
    kind.name: kind for kind in (LightGbmBinary, LightGbmRank, SequenceRanker)
}


def named_kind(name: str, folder: Path = PLUGINS) -> type[LearnedRanker]:
    """The class of a learned ranker by its name in `train.ranker`.

    Raises:
        ParamsError: its module is not there, or holds no such class.
        SchemaError: its module fails.
    """
    module, _, of_class = name.partition(":")
    own = read_plugin(folder / f"{module}.py", "train.ranker") if of_class else None
    return kind_of(name, own)


def kind_of(name: str, plugin: Plugin | None) -> type[LearnedRanker]:
    """The class of a shipped ranker, or of one in a plugin; raises as `named_kind`."""
    if plugin is None:
        if name not in SHIPPED:
            raise ParamsError(
                f"there is no ranker '{name}'; there are {['xgboost', *SHIPPED]}, and module:name "
                f"for a class in '{PLUGINS}'."
            )
        return SHIPPED[name]
    found: type[LearnedRanker] = plugin.class_of(name.partition(":")[2], LearnedRanker)
    found.name, found.plugin = name, plugin
    copyreg.pickle(found, _reduced)
    return found


def _reduced(ranker: LearnedRanker) -> tuple[Callable[..., LearnedRanker], tuple[Any, ...]]:
    """By name and source, so that a process that never read the plugin can have the ranker."""
    return _restored, (ranker.name, ranker.plugin, vars(ranker))


def _restored(name: str, plugin: Plugin, state: dict[str, Any]) -> LearnedRanker:
    kind = kind_of(name, plugin)
    made = kind.__new__(kind)
    vars(made).update(state)
    return made


def ranker_file(place: Place) -> str:
    """Name of the file of a directory that tells its ranker."""
    return FILE if (place / FILE).exists() else XGBOOST_FILE


def ranker_files(place: Place) -> set[str]:
    """Names of all files of the ranker of a directory."""
    if ranker_file(place) == XGBOOST_FILE:
        return {XGBOOST_FILE}
    return files_of(json.loads((place / FILE).read_text()))


def load_ranker(place: Place) -> Ranker:
    """The ranker of a directory, whichever it is.

    Raises:
        ArtifactError: it is no ranker, or needs a library that is not installed.
    """
    if ranker_file(place) == XGBOOST_FILE:
        return XGBoostRanker.load(place)
    about = json.loads((place / FILE).read_text())
    name = about["ranker"]
    plugin = Plugin(name.split(":")[0], (place / SOURCE).read_text()) if ":" in name else None
    try:
        return kind_of(name, plugin).load(place, about)
    except (ImportError, ParamsError, SchemaError) as error:
        raise ArtifactError(f"the ranker '{name}' of '{place}' cannot be used: {error}") from error
