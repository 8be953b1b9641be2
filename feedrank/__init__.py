"""From a feed log to the five posts a user is most likely to like."""
