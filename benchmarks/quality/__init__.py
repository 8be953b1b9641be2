"""Measurements of the ranker and of validation."""
