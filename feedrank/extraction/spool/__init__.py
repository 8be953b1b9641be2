"""Spool: rows off the wire to the log's files."""
