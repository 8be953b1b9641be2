"""Extraction: three tables of a PostgreSQL database to a log on disk."""
