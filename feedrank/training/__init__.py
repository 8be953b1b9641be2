"""Grows the ranker."""
