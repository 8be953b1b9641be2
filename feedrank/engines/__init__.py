"""Engines that run a pass over the buckets: processes of one machine, or Spark."""
