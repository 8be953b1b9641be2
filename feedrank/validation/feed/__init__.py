"""Tests of whether the feed is random."""
