"""Measurements and proofs that are run by hand, never as tests."""
