"""Oracle: limits and true hit rates on a simulated network."""
