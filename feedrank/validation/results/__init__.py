"""What validation writes: metrics, details, warnings."""
