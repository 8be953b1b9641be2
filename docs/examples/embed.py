"""Sentence embeddings of all posts by a model whose weights lie in its wheel: a stage of its own.

Needs `requirements-embeddings.txt`; docs/extend.md shows the stage.
"""

from pathlib import Path

import pandas as pd
import wordllama

from feedrank.extraction.environment import Database
from feedrank.extraction.relations import relations
from feedrank.extraction.users_posts import read_texts
from feedrank.params import load_params

DATA = Path("data")
params = load_params()
with (
    Database.of_environment(DATA / "demo", DATA / "log", params) as database,
    database.source.transaction() as transaction,
):
    _, table, _ = relations(transaction, params.source)
    posts = read_texts(transaction, table, params.source, ())
weights = Path(wordllama.__file__).parent  # its own search for them goes to a hub
model = wordllama.WordLlama.load(cache_dir=weights, disable_download=True)
vectors = list(model.embed(posts["text"].tolist()))
embeddings = pd.DataFrame({"post_id": posts["post_id"], "embedding": vectors})
embeddings.to_parquet(DATA / "embeddings.parquet", index=False)
