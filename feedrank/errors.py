"""Errors that a user of feedrank can act on."""

from __future__ import annotations


class FeedrankError(Exception):
    """Something the user can act on: the message says what was found and what to do."""


class ParamsError(FeedrankError):
    """`params.yaml` holds an unknown, missing or out-of-range key."""


class SourceError(FeedrankError):
    """The database cannot be reached or read."""


class SchemaError(FeedrankError):
    """A table lacks a column or holds values that the pipeline cannot use."""


class ArtifactError(FeedrankError):
    """The artifact is missing, incomplete, of another version, or answers differently."""
