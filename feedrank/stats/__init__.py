"""Statistics that know no feed, no post and no user."""
