"""Fits what the feature store holds, from the past only."""
