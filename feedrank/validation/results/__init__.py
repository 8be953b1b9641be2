"""Results of validation: metrics, details, warnings."""
