"""Tests of the randomness of the feed."""
