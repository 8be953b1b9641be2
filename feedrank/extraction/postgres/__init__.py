"""Reading PostgreSQL: connections, snapshots, COPY."""
