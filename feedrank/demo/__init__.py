"""The demo: an embedded PostgreSQL filled with a simulated network whose truth is known."""
