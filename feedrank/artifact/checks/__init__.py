"""Checks of an artifact's files before anything of them is used."""
