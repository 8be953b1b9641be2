"""One loaded artifact, answering under load."""
