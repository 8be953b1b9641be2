"""Baselines on the same requests."""
