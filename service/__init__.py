"""HTTP around one loaded artifact."""
