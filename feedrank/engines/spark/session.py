"""Spark session with Java, this Python and this code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from feedrank.errors import FeedrankError

OLDEST_JAVA = 17  # of Spark 4
DEFAULTS = {
    "spark.app.name": "feedrank",
    "spark.log.level": "ERROR",
    # A piece of a result may be larger than the 2 GB that short offsets reach.
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
    "spark.driver.maxResultSize": "0",  # no limit: the driver needs all that is sent to it
}


@contextmanager
def session(master: str) -> Iterator[SparkSession]:
    """A session on a master, stopped at the end.

    Settings of Spark's own places, such as `conf/spark-defaults.conf` or `PYSPARK_SUBMIT_ARGS`,
    override the defaults of this module.

    Raises:
        FeedrankError: there is no Java, or an old one, or Spark does not start.
    """
    _check_java()
    # The functions of pandas that are used are tested with the pinned version.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    try:
        spark = SparkSession.builder.config(conf=_settings(master)).getOrCreate()
    except (Py4JJavaError, PySparkException) as error:
        raise FeedrankError(f"Spark did not start on '{master}': {error}") from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            spark.sparkContext.addPyFile(_packed(Path(folder)))
            yield spark
    finally:
        spark.stop()


def _settings(master: str) -> pyspark.SparkConf:
    conf = pyspark.SparkConf().setIfMissing("spark.master", master)
    defaults = {
        **DEFAULTS,
        "spark.ui.enabled": str(not master.startswith("local")).lower(),
        "spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower(),
    }
    for key, value in defaults.items():
        conf.setIfMissing(key, value)
    return conf


def _packed(folder: Path) -> str:
    """Path of a zip of this library, which Spark sends to every worker."""
    package = Path(__file__).parents[2]
    return shutil.make_archive(str(folder / "feedrank"), "zip", package.parent, package.name)


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    found = shutil.which(java)
    said = (
        subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
        if found
        else ""
    )
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        what = f"Java {version[1]}" if version else f"no '{java}' that runs"
        raise FeedrankError(
            f"'engine.name' is 'spark', which needs Java {OLDEST_JAVA} or newer, but there is "
            f"{what}. Install one (`apt-get install openjdk-17-jre-headless`) or let JAVA_HOME "
            "name it, or set 'engine.name' to local."
        )
