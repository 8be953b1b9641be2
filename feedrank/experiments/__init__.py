"""Commands on runs and experiments: which is better, and what each part is worth."""
