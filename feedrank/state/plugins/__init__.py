"""Plugins: own features, declared in modules whose source travels with the feature store."""
