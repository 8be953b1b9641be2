"""Rolling folds, three hit rates with intervals, and what they are compared with."""
