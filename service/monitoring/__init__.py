"""Metrics, drift and log lines."""
