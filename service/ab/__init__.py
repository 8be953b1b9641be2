"""A/B test: assignment of users to arms, and exposure log."""
