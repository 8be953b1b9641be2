"""Proof that the log holds what the database holds."""
