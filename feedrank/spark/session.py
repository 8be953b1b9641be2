"""A Spark session that finds Java, this Python and this code."""

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
from pyspark.sql import SparkSession

from feedrank.errors import FeedrankError

OLDEST_JAVA = 17
DEFAULTS = {
    "spark.app.name": "feedrank",
    "spark.log.level": "ERROR",
    # A piece of a result may be larger than the 2 GB that short offsets reach.
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
}


@contextmanager
def session(master: str) -> Iterator[SparkSession]:
    """A session on a master, stopped at the end.

    All that is not set here comes from Spark's own places, such as `conf/spark-defaults.conf` or
    `PYSPARK_SUBMIT_ARGS`; what is set there goes before the defaults of this module.

    Raises:
        FeedrankError: there is no Java, or an old one.
    """
    _check_java()
    # What is used of pandas here is tested with the pinned version.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    is_local = master.startswith("local")
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    if is_local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = pyspark.SparkConf().setIfMissing("spark.master", master)
    for key, value in DEFAULTS.items():
        conf.setIfMissing(key, value)
    conf.setIfMissing("spark.ui.enabled", str(not is_local).lower())
    conf.setIfMissing("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
    spark = SparkSession.builder.config(conf=conf).getOrCreate()
    try:
        with tempfile.TemporaryDirectory() as folder:
            spark.sparkContext.addPyFile(_packed(Path(folder)))
            yield spark
    finally:
        spark.stop()


def _packed(folder: Path) -> str:
    """This library as one file that Spark sends to every worker."""
    package = Path(__file__).parents[1]
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
