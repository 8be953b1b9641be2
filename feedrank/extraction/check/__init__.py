"""Check of a source before a build: every problem at once."""
