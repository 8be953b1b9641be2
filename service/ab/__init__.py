"""A/B test: assignment and exposure log."""
