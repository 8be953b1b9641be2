"""Segments of users, by profile columns."""
