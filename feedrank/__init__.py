"""From a feed log to the five posts a user is most likely to like."""

__version__ = "0.2.0"
