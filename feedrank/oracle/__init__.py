"""What only a simulation knows: limits and true hit rates."""
