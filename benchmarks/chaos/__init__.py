"""Faults, by chance and counted: what docs/reliability.md promises. One module for each part."""
