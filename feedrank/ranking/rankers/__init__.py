"""Rankers: probabilities of a like of the posts that the first stage kept, by name."""
