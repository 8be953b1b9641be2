"""Feature store: point-in-time state of users and posts."""
