"""Follower: new rows of the database go into the delta log."""
