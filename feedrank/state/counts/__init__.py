"""Additive counts of impressions and likes."""
