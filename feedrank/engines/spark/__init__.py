"""Spark: the engine on a cluster. Only `training.on_spark` imports PySpark besides."""
