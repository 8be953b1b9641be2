"""From a matrix to a list."""
