"""Closed loop: users of a simulated network are shown what the service answers, week after week."""
