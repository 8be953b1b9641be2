"""Selection of the engine that the parameters name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from feedrank.engines.engine import Engine, in_use, using
from feedrank.errors import FeedrankError
from feedrank.params import EngineParams


@contextmanager
def running_on(params: EngineParams) -> Iterator[Engine]:
    """Use the engine that the parameters name within a `with` block.

    Raises:
        FeedrankError: the engine is `spark`, and PySpark or Java is missing.
    """
    if params.name == "local":
        yield in_use()
        return
    with _spark(params) as engine, using(engine):
        yield engine


@contextmanager
def _spark(params: EngineParams) -> Iterator[Engine]:
    # Imported here, since the optional packages are missing on most machines.
    try:
        from feedrank.engines.spark.cluster import SparkEngine
    except ModuleNotFoundError as error:
        if error.name not in ("pyspark", "py4j"):
            raise
        raise FeedrankError(
            "'engine.name' is 'spark', but PySpark is not installed. Run `pip install -r "
            "requirements-spark.txt -c constraints.txt`, or set 'engine.name' to local."
        ) from error
    with SparkEngine.started(params) as engine:
        yield engine
