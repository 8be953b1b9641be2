"""Replay of requests: what each method lists, and what came of it."""
