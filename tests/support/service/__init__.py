"""Callers of a service."""
