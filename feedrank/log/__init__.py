"""The extracted log: impressions in buckets of whole users, and its calendar."""
