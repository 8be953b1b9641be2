"""Validation: rolling folds, three hit rates with intervals, baselines, and reports."""
