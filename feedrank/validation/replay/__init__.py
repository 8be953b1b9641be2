"""Replay of requests: lists of each method, and their outcomes."""
