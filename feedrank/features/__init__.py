"""From the feature store to a matrix."""
