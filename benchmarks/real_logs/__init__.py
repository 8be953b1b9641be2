"""Public logs on a user's disk, run through PostgreSQL and the pipeline beside all baselines."""
