"""Feature store: what is known of users and posts as of a step."""
