"""Batch: lists of all users at one moment, as a file or a table."""
