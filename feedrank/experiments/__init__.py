"""Experiments: commands that compare runs, search parameters, and ablate the ranker."""
