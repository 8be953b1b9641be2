"""Three hit rates with intervals."""
