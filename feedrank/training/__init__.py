"""Training: fits a ranker to training rows."""
